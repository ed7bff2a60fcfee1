// Looks at INSERT before the executor starts, and at COPY before the server runs it.
#include "runtime/inbox_guard.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

ExecutorStart_hook_type next_start = nullptr;
ProcessUtility_hook_type next_utility = nullptr;

// P.
void refuse_inbox(Oid relation) {
    if (!OidIsValid(relation) || get_rel_namespace(relation) != postgres::find_schema()) return;
    const char* name = get_rel_name(relation);
    if (name == nullptr || (strcmp(name, "inbox") != 0 && strcmp(name, "inbox_text") != 0)) return;
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("view telemetry.%s takes nothing in this session", name),
             errdetail("With session_replication_role = replica the server does not fire the triggers that store the rows."),
             errhint("Set session_replication_role to origin, or call telemetry.ingest_telemetry_batch().")));
}

// P.
void check_plan(const PlannedStmt* plan) {
    const ListCell* cell;
    foreach (cell, plan->resultRelations) {
        const auto* entry = list_nth_node(RangeTblEntry, plan->rtable, lfirst_int(cell) - 1);
        if (entry->relkind == RELKIND_VIEW) refuse_inbox(entry->relid);
    }
}

// P.
postgres::ExecutorStartResult start(QueryDesc* query, int flags) {
    if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA) check_plan(query->plannedstmt);
    return next_start != nullptr ? next_start(query, flags) : standard_ExecutorStart(query, flags);
}

// P.
void run_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                 ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* destination,
                 QueryCompletion* completion) {
    if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA && IsA(statement->utilityStmt, CopyStmt)) {
        const auto* copy = reinterpret_cast<const CopyStmt*>(statement->utilityStmt);
        if (copy->is_from && copy->relation != nullptr) refuse_inbox(RangeVarGetRelid(copy->relation, NoLock, true));
    }
    const auto next = next_utility != nullptr ? next_utility : standard_ProcessUtility;
    next(statement, text, read_only_tree, context, parameters, environment, destination, completion);
}

}  // namespace

void guard_inboxes() {
    if (IsBinaryUpgrade) return;
    next_start = ExecutorStart_hook;
    ExecutorStart_hook = start;
    next_utility = ProcessUtility_hook;
    ProcessUtility_hook = run_utility;
}

}  // namespace runtime
