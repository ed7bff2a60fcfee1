// Stores readings in transactions of a given size through one of three methods. The work is prepared before the clock starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "connection.hpp"
#include "fleet.hpp"
#include "wire.hpp"

namespace bench {

using client::wire::Format;

// The methods are our batch function, COPY into a plain table, and the plain SQL that takes retries: INSERT .. SELECT unnest ..
// ON CONFLICT.
enum class InsertMethod { kArrays, kCopy, kInsert };

// The bytes that a transaction sends.
struct Transaction {
    int readings = 0;
    std::vector<std::string> arrays;  // InsertMethod::kArrays and InsertMethod::kInsert
    std::string copy;                 // InsertMethod::kCopy
};

std::vector<Transaction> prepare(InsertMethod method, Format format, const std::vector<Reading>& readings, int per_transaction);

struct Stored {
    double seconds = 0;          // from the first byte sent to the last answer
    std::int64_t accepted = 0;   // the server's count
    std::int64_t wal_bytes = 0;  // those of the whole server in that time
};

// Each client has a connection and a thread. The clients take the transactions in turn. They stop early once is_over says so.
Stored store(
    const std::string& conninfo, InsertMethod method, Format format, const std::vector<Transaction>& transactions, int clients,
    const std::function<bool()>& is_over = [] { return false; });

// One client. It prepares once, and sends transaction after transaction. send() returns the server's count.
void prepare_statement(client::Connection& connection, InsertMethod method);
std::int64_t send(client::Connection& connection, InsertMethod method, Format format, const Transaction& transaction);

// Stores readings first .. first + count - 1 in transactions of 10,000, without a clock.
void prefill(const std::string& conninfo, InsertMethod method, Fleet& fleet, std::int64_t first, std::int64_t count);

}  // namespace bench
