// Looks for the scan of the call in the plan, and for an equality among its conditions. This file is written wholly in P.
#include "postgres/sought_text.hpp"

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

bool is_scan_of(const FunctionScan* scan, const void* call) {
    return list_length(scan->functions) == 1 && linitial_node(RangeTblFunction, scan->functions)->funcexpr == call;
}

const FunctionScan* find_scan(const Plan* plan, const void* call);

const FunctionScan* find_scan(const List* plans, const void* call) {
    for (int i = 0; i < list_length(plans); ++i)
        if (const FunctionScan* found = find_scan(static_cast<const Plan*>(list_nth(plans, i)), call)) return found;
    return nullptr;
}

// Nodes with further plans that are not named here hide a scan, and then nothing is known.
const FunctionScan* find_scan(const Plan* plan, const void* call) {
    if (plan == nullptr) return nullptr;
    check_stack_depth();
    const FunctionScan* found = nullptr;
    switch (nodeTag(plan)) {
        case T_FunctionScan:
            if (is_scan_of(reinterpret_cast<const FunctionScan*>(plan), call))
                return reinterpret_cast<const FunctionScan*>(plan);
            break;
        case T_Append:
            found = find_scan(reinterpret_cast<const Append*>(plan)->appendplans, call);
            break;
        case T_MergeAppend:
            found = find_scan(reinterpret_cast<const MergeAppend*>(plan)->mergeplans, call);
            break;
        case T_SubqueryScan:
            found = find_scan(reinterpret_cast<const SubqueryScan*>(plan)->subplan, call);
            break;
        default:
            break;
    }
    if (found == nullptr) found = find_scan(plan->lefttree, call);
    return found != nullptr ? found : find_scan(plan->righttree, call);
}

const Node* without_relabeling(const void* expression) {
    const auto* node = static_cast<const Node*>(expression);
    while (IsA(node, RelabelType)) node = reinterpret_cast<const Node*>(reinterpret_cast<const RelabelType*>(node)->arg);
    return node;
}

bool is_column(const Node* node, Index scan, int column) {
    if (!IsA(node, Var)) return false;
    const auto* variable = reinterpret_cast<const Var*>(node);
    return variable->varno == static_cast<int>(scan) && variable->varattno == column && variable->varlevelsup == 0;
}

// The value of a constant, or of a parameter that the client has sent. Null: it is something else, or NULL.
text* fixed_text(const Node* node, const EState* executor) {
    if (IsA(node, Const)) {
        const auto* constant = reinterpret_cast<const Const*>(node);
        return constant->constisnull ? nullptr : text_of(constant->constvalue);
    }
    if (!IsA(node, Param) || executor->es_param_list_info == nullptr) return nullptr;
    const auto* parameter = reinterpret_cast<const Param*>(node);
    ParamListInfo values = executor->es_param_list_info;
    if (parameter->paramkind != PARAM_EXTERN || parameter->paramid < 1 || parameter->paramid > values->numParams)
        return nullptr;
    ParamExternData room;
    const ParamExternData* value = values->paramFetch != nullptr ? values->paramFetch(values, parameter->paramid, false, &room)
                                                                 : &values->params[parameter->paramid - 1];
    return value->ptype != parameter->paramtype || value->isnull ? nullptr : text_of(value->value);
}

bool compares_bytes(const OpExpr* condition) {
    return condition->opfuncid == F_TEXTEQ && list_length(condition->args) == 2 &&
           (!OidIsValid(condition->inputcollid) || get_collation_isdeterministic(condition->inputcollid));
}

}  // namespace

text* sought_text(FunctionCallInfo fcinfo, int column) {
    const auto* result = reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo);
    if (fcinfo->flinfo->fn_expr == nullptr || result->econtext->ecxt_estate == nullptr) return nullptr;
    const EState* executor = result->econtext->ecxt_estate;
    const PlannedStmt* statement = executor->es_plannedstmt;
    if (statement == nullptr) return nullptr;
    const FunctionScan* scan = find_scan(statement->planTree, fcinfo->flinfo->fn_expr);
    if (scan == nullptr) scan = find_scan(statement->subplans, fcinfo->flinfo->fn_expr);
    if (scan == nullptr) return nullptr;
    for (int i = 0; i < list_length(scan->scan.plan.qual); ++i) {
        const auto* condition = static_cast<const OpExpr*>(list_nth(scan->scan.plan.qual, i));
        if (!IsA(condition, OpExpr) || !compares_bytes(condition)) continue;
        const Node* left = without_relabeling(linitial(condition->args));
        const Node* right = without_relabeling(lsecond(condition->args));
        const bool is_left = is_column(left, scan->scan.scanrelid, column);
        if (!is_left && !is_column(right, scan->scan.scanrelid, column)) continue;
        if (text* found = fixed_text(is_left ? right : left, executor)) return found;
    }
    return nullptr;
}

}  // namespace postgres
