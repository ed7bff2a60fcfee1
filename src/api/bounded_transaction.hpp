// A transaction of the work for clients of HTTP. It has bounds, because one client must not keep the others waiting.
#pragma once

#include "postgres/transaction.hpp"

namespace api {

// From the beginning it holds the installation and has an active snapshot. The destructor rolls it back unless it was
// committed.
//
// - What runs longer than http_timeout ends with 57014, and the cancellation ends nothing else.
// - What waits for a lock ends with 55P03 after 100 ms. For a second after such an end later transactions wait for 5 ms only:
//   the process answers all clients, and each of those that meet the same lock would cost the others so long.
class BoundedTransaction {
public:
    // Throws PgError and Error.
    BoundedTransaction();

    void commit() { transaction_.commit(); }

private:
    class Bounds {
    public:
        Bounds();
        Bounds(const Bounds&) = delete;
        Bounds& operator=(const Bounds&) = delete;
        ~Bounds();
    };

    Bounds bounds_;
    postgres::Transaction transaction_;
};

// A transaction has waited for a lock in vain.
void note_wait_in_vain() noexcept;

}  // namespace api
