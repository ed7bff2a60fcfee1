// A transaction of the work for clients of HTTP. It has bounds, because one client must not keep the others waiting.
#pragma once

#include "postgres/transaction.hpp"

namespace api {

// Bounds the time of what the scope does. What runs longer ends with 57014, and the cancellation ends nothing else.
class TimeLimit {
public:
    explicit TimeLimit(int milliseconds) noexcept;
    TimeLimit(const TimeLimit&) = delete;
    TimeLimit& operator=(const TimeLimit&) = delete;
    ~TimeLimit();
};

// From the beginning it holds the installation and has an active snapshot. It lasts for http_timeout at most, and waits for
// each lock for the time in which a worker of the server may be deaf. The destructor rolls it back unless it was committed.
class BoundedTransaction {
public:
    // Throws PgError and Error.
    BoundedTransaction();

    void commit() { transaction_.commit(); }

private:
    TimeLimit limit_;
    postgres::Transaction transaction_;
};

}  // namespace api
