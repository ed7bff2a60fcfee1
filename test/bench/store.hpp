// Stores readings in transactions of a given size through one of several methods. The work is prepared before the clock starts.
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

// Ours are kArrays, kJson (a batch as a text of type json), kInbox (COPY telemetry.inbox) and kCall (one reading a call). The
// others write into the plain table: kCopy with six columns and kCopyAll with those of the inbox, kInsert (INSERT .. SELECT
// unnest .. ON CONFLICT, the plain SQL that takes retries) and kInsertRow (INSERT .. ON CONFLICT of one reading).
enum class InsertMethod { kArrays, kJson, kInbox, kCall, kCopy, kCopyAll, kInsert, kInsertRow };

// The bytes that a transaction sends.
struct Transaction {
    int readings = 0;
    std::vector<std::string> parameters;  // of the prepared statement
    std::string copy;                     // of the methods that COPY
};

// kCall and kInsertRow send one reading a transaction, whatever per_transaction says.
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

// One client. It prepares once, and sends transaction after transaction. send() returns the server's count: of the readings
// that are new, or with kInbox of all rows.
void prepare_statement(client::Connection& connection, InsertMethod method);
std::int64_t send(client::Connection& connection, InsertMethod method, Format format, const Transaction& transaction);

// Stores readings first .. first + count - 1 in transactions of 10,000, without a clock. Not for methods that send one reading.
void prefill(const std::string& conninfo, InsertMethod method, Fleet& fleet, std::int64_t first, std::int64_t count);

}  // namespace bench
