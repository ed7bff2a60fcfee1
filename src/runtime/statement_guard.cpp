// The guard is a hook of the server for utility statements. It is P: it has no C++ objects, and the server's errors pass
// through it unchanged.
#include "runtime/statement_guard.hpp"

#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

ProcessUtility_hook_type next_hook = nullptr;

// Returns the relation of this name if it is in the extension's schema, and InvalidOid otherwise. If the role may not use the
// schema, the server says so before it locks anything.
Oid own_relation(const RangeVar* name) {
    if (name == nullptr) return InvalidOid;
    if (name->schemaname != nullptr && strcmp(name->schemaname, postgres::kSchemaName) != 0) return InvalidOid;
    const Oid schema = postgres::find_schema();
    if (!OidIsValid(schema) || !postgres::may_use_schema(GetUserId(), schema)) return InvalidOid;
    const Oid relation =
        name->schemaname == nullptr ? RelnameGetRelid(name->relname) : postgres::find_relation(schema, name->relname);
    if (!OidIsValid(relation) || get_rel_namespace(relation) != schema || !postgres::is_schema_of_extension(schema))
        return InvalidOid;
    return relation;
}

void refuse(AclResult reason, Oid relation) {
    const char* name = get_rel_name(relation);
    if (name == nullptr) return;  // dropped meanwhile
    aclcheck_error(reason, get_relkind_objtype(get_rel_relkind(relation)), name);
}

// P.
void require_owner(const RangeVar* name) {
    const Oid relation = own_relation(name);
    if (OidIsValid(relation) && !postgres::owns_relation(GetUserId(), relation)) refuse(ACLCHECK_NOT_OWNER, relation);
}

// For REFERENCES a right on any column suffices here. The server then checks on which columns it is needed.
void require_right(const RangeVar* name, AclMode right) {
    const Oid relation = own_relation(name);
    if (!OidIsValid(relation)) return;
    const AclResult result = pg_class_aclcheck(relation, GetUserId(), right);
    if (result == ACLCHECK_OK) return;
    if (right == ACL_REFERENCES && pg_attribute_aclcheck_all(relation, GetUserId(), right, ACLMASK_ANY) == ACLCHECK_OK) return;
    refuse(result, relation);
}

void check_constraint(const Node* node) {
    if (!IsA(node, Constraint)) return;
    const auto* constraint = reinterpret_cast<const Constraint*>(node);
    if (constraint->contype == CONSTR_FOREIGN) require_right(constraint->pktable, ACL_REFERENCES);
}

// CREATE TABLE makes its foreign keys by an ALTER TABLE, which also passes through the hook. Only then do the names mean here
// what they mean to the server.
void check_create(const CreateStmt* statement) {
    if (statement->partbound == nullptr) return;
    const ListCell* cell;
    foreach (cell, statement->inhRelations) require_owner(lfirst_node(RangeVar, cell));
}

void check_alter(const AlterTableStmt* statement) {
    const ListCell* cell;
    foreach (cell, statement->cmds) {
        const auto* command = lfirst_node(AlterTableCmd, cell);
        switch (command->subtype) {
            case AT_AttachPartition:
            case AT_DetachPartition:
            case AT_DetachPartitionFinalize:
                require_owner(reinterpret_cast<const PartitionCmd*>(command->def)->name);
                break;
            case AT_AddConstraint:
                if (command->def != nullptr) check_constraint(command->def);
                break;
            case AT_AddColumn:
                if (command->def != nullptr && IsA(command->def, ColumnDef)) {
                    const ListCell* constraint;
                    foreach (constraint, reinterpret_cast<const ColumnDef*>(command->def)->constraints)
                        check_constraint(static_cast<const Node*>(lfirst(constraint)));
                }
                break;
            default:
                break;
        }
    }
}

void check(const Node* statement) {
    switch (nodeTag(statement)) {
        case T_CreateTrigStmt:
            require_right(reinterpret_cast<const CreateTrigStmt*>(statement)->relation, ACL_TRIGGER);
            break;
        case T_RuleStmt:
            require_owner(reinterpret_cast<const RuleStmt*>(statement)->relation);
            break;
        case T_CreateStmt:
            check_create(reinterpret_cast<const CreateStmt*>(statement));
            break;
        case T_CreateForeignTableStmt:
            check_create(&reinterpret_cast<const CreateForeignTableStmt*>(statement)->base);
            break;
        case T_AlterTableStmt:
            check_alter(reinterpret_cast<const AlterTableStmt*>(statement));
            break;
        case T_AlterObjectDependsStmt: {
            // The server locks functions and triggers as such, and no command or pass waits for that.
            const auto* depends = reinterpret_cast<const AlterObjectDependsStmt*>(statement);
            if (depends->objectType == OBJECT_INDEX || depends->objectType == OBJECT_MATVIEW) require_owner(depends->relation);
            break;
        }
        default:
            break;
    }
}

void process_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* destination,
                     QueryCompletion* completion) {
    if (IsTransactionState()) check(statement->utilityStmt);
    const auto next = next_hook != nullptr ? next_hook : standard_ProcessUtility;
    next(statement, text, read_only_tree, context, parameters, environment, destination, completion);
}

}  // namespace

void guard_statements() {
    if (IsBinaryUpgrade) return;
    next_hook = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
}

}  // namespace runtime
