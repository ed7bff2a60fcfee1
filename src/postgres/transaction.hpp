// Runs a transaction of a background worker for the length of a scope.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

// The transaction is READ COMMITTED, and read-write but on a standby, whatever defaults the database and the role have. The
// destructor rolls it back unless it was committed. Either way it makes the earlier memory context current again. A process
// that is in a transaction already may not use this.
class Transaction {
public:
    Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    // Throws PgError when the commit fails. The transaction is rolled back then.
    void commit();

private:
    MemoryContext memory_;
    bool is_open_ = false;
};

// P. Makes the snapshot of this moment the active one (`GetActiveSnapshot`). The transaction must not have a transaction number
// yet.
void push_snapshot_of_now();

// P. Sets a setting until the transaction ends.
void set_for_transaction(const char* setting, const char* value);

// P. Lets the active snapshot show what the transaction has written so far.
void show_own_writes();

}  // namespace postgres
