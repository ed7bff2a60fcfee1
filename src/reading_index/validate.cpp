// Checks operator classes, and the columns of an index. This file is written wholly in P.
#include "reading_index/validate.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

// An operator that the scan can answer. Its right side may be of another type than the column.
struct Operator {
    Oid left, right;
    int16 strategy;
    Oid function;
};

constexpr Operator kOperators[] = {
    {TEXTOID, TEXTOID, BTEqualStrategyNumber, F_TEXTEQ},
    {TIMESTAMPTZOID, TIMESTAMPTZOID, BTLessStrategyNumber, F_TIMESTAMPTZ_LT},
    {TIMESTAMPTZOID, TIMESTAMPTZOID, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE},
    {TIMESTAMPTZOID, TIMESTAMPTZOID, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ},
    {TIMESTAMPTZOID, TIMESTAMPTZOID, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE},
    {TIMESTAMPTZOID, TIMESTAMPTZOID, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT},
    {TIMESTAMPTZOID, DATEOID, BTLessStrategyNumber, F_TIMESTAMPTZ_LT_DATE},
    {TIMESTAMPTZOID, DATEOID, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE_DATE},
    {TIMESTAMPTZOID, DATEOID, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ_DATE},
    {TIMESTAMPTZOID, DATEOID, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE_DATE},
    {TIMESTAMPTZOID, DATEOID, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT_DATE},
    {TIMESTAMPTZOID, TIMESTAMPOID, BTLessStrategyNumber, F_TIMESTAMPTZ_LT_TIMESTAMP},
    {TIMESTAMPTZOID, TIMESTAMPOID, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE_TIMESTAMP},
    {TIMESTAMPTZOID, TIMESTAMPOID, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ_TIMESTAMP},
    {TIMESTAMPTZOID, TIMESTAMPOID, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE_TIMESTAMP},
    {TIMESTAMPTZOID, TIMESTAMPOID, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT_TIMESTAMP},
};

bool is_known(const Operator& found) {
    for (const Operator& each : kOperators)
        if (each.left == found.left && each.right == found.right && each.strategy == found.strategy &&
            each.function == found.function)
            return true;
    return false;
}

// Counts the operators of the family that compare the type with itself, and reports each that the scan cannot answer.
bool check_family(Oid family, Oid type, const char* name) {
    CatCList* members = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
    bool is_right = true;
    int own = 0;
    for (int i = 0; i < members->n_members; ++i) {
        const auto* member = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple));
        const Operator found{member->amoplefttype, member->amoprighttype, member->amopstrategy, get_opcode(member->amopopr)};
        if (found.left == type && found.right == type) ++own;
        if (is_known(found) && found.left == type && member->amoppurpose == AMOP_SEARCH) continue;
        ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                       errmsg("operator class \"%s\" of access method telemetry_readings contains operator %s, which a scan "
                              "cannot answer",
                              name, format_operator(member->amopopr))));
        is_right = false;
    }
    ReleaseCatCacheList(members);
    int wanted = 0;
    for (const Operator& each : kOperators)
        if (each.left == type && each.right == type) ++wanted;
    if (own == wanted && wanted > 0) return is_right;
    ereport(INFO,
            (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
             errmsg("operator class \"%s\" of access method telemetry_readings has not the operators of its type", name)));
    return false;
}

[[noreturn]] void refuse(Relation index, const char* detail) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("index \"%s\" cannot be a reading index", RelationGetRelationName(index)), errdetail("%s", detail),
                    errhint("The access method telemetry_readings needs a column of type text and one of type timestamptz, in "
                            "this order.")));
    pg_unreachable();
}

}  // namespace

bool validate(Oid operator_class) {
    HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(operator_class));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator class %u", operator_class);
    const auto* form = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple));
    const bool is_right = check_family(form->opcfamily, form->opcintype, NameStr(form->opcname));
    ReleaseSysCache(tuple);
    return is_right;
}

void check_columns(Relation table, Relation index, const IndexInfo& info) {
    if (table->rd_rel->relam != HEAP_TABLE_AM_OID) refuse(index, "The table has another access method than heap.");
    if (info.ii_NumIndexAttrs != 2 || index->rd_opcintype[0] != TEXTOID || index->rd_opcintype[1] != TIMESTAMPTZOID)
        refuse(index, "The columns are others.");
    if (info.ii_Expressions != NIL || info.ii_Predicate != NIL)
        refuse(index, "It has an expression or a predicate, which the projector would have to run.");
    if (!get_collation_isdeterministic(index->rd_indcollation[0]))
        refuse(index, "The collation of the first column takes different texts for equal.");
}

}  // namespace reading_index
