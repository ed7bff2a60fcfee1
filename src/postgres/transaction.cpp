// Starts and ends transactions outside any client's statement.
#include "postgres/transaction.hpp"

#include <exception>

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

Transaction::Transaction() : memory_(CurrentMemoryContext) {
    guarded([] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        XactIsoLevel = XACT_READ_COMMITTED;
        XactReadOnly = RecoveryInProgress();
        XactDeferrable = false;
    });
    is_open_ = true;
}

Transaction::~Transaction() {
    if (is_open_) {
        char failure[200] = "";
        bool is_over = true;
        try {
            guarded([] { AbortCurrentTransaction(); });
        } catch (const std::exception& error) {
            strlcpy(failure, error.what(), sizeof failure);
            is_over = false;
        }
        // The process must end: it can neither commit nor roll back this transaction, and so it cannot begin another.
        if (!is_over)
            ereport(FATAL, (errmsg_internal("telemetry_cqrs could not roll back"), errdetail_internal("%s", failure)));
    }
    MemoryContextSwitchTo(memory_);
}

void Transaction::commit() {
    guarded([] {
        if (ActiveSnapshotSet()) PopActiveSnapshot();
        CommitTransactionCommand();
    });
    is_open_ = false;
    MemoryContextSwitchTo(memory_);
}

void push_snapshot_of_now() {
    if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
        elog(ERROR, "the snapshot must come before the transaction's first write");
    PushActiveSnapshot(GetTransactionSnapshot());
}

void set_for_transaction(const char* setting, const char* value) {
    if (set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false) <= 0)
        elog(ERROR, "cannot set %s to \"%s\"", setting, value);
}

void show_own_writes() {
    CommandCounterIncrement();
    UpdateActiveSnapshotCommandId();
}

}  // namespace postgres
