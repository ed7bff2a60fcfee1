// A transaction of a background worker, for the length of a scope.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

// READ COMMITTED and read-write, whatever database and role have as defaults. Rolls back unless committed; the memory context
// of before is current again either way. Not for processes that already are in a transaction.
class Transaction {
public:
    Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    // Throws PgError when the commit fails; the transaction is rolled back then.
    void commit();

private:
    MemoryContext memory_;
    bool is_open_ = false;
};

// Makes `GetActiveSnapshot` the snapshot of this moment. In a guarded block, before the transaction has a transaction number.
void push_snapshot_of_now();

}  // namespace postgres
