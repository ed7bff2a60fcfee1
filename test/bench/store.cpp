#include "store.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <exception>
#include <thread>

namespace bench {
namespace {

using client::Connection;
using client::Parameter;
using client::wire::Array;
using client::wire::CopyRows;
using client::wire::TypeOid;
using Clock = std::chrono::steady_clock;

constexpr int kPrefillTransaction = 10'000;

bool copies(InsertMethod method) {
    return method == InsertMethod::kCopy || method == InsertMethod::kCopyAll || method == InsertMethod::kInbox;
}

bool sends_one(InsertMethod method) {
    return method == InsertMethod::kCall || method == InsertMethod::kInsertRow;
}

std::string encode_rows(InsertMethod method, Format format, const Reading* begin, const Reading* end) {
    const bool has_metrics = method != InsertMethod::kCopy;
    CopyRows rows(format, has_metrics ? 7 : 6);
    for (const Reading* r = begin; r != end; ++r) {
        rows.begin_row();
        rows.add(device_name(r->device));
        rows.add_timestamptz(r->measured_us);
        rows.add_float8(r->temperature);
        rows.add_float8(r->humidity);
        rows.add(r->key);
        if (has_metrics) rows.add_null();
        rows.add(region_name(r->device));
        rows.end_row();
    }
    return rows.data();
}

// No text of the fleet has a character that JSON escapes.
std::string encode_json(const Reading* begin, const Reading* end) {
    std::string json = "[";
    for (const Reading* r = begin; r != end; ++r) {
        std::string measured_at = client::wire::text_timestamptz(r->measured_us);
        measured_at[measured_at.find(' ')] = 'T';
        json += std::string(r == begin ? "" : ",") + "{\"device_id\":\"" + device_name(r->device) + "\",\"measured_at\":\"" +
                measured_at + "\",\"temperature\":" + client::wire::text_float8(r->temperature) +
                ",\"humidity\":" + client::wire::text_float8(r->humidity) + ",\"idempotency_key\":\"" + r->key +
                "\",\"region\":\"" + region_name(r->device) + "\"}";
    }
    return json + "]";
}

std::vector<std::string> encode_values(Format format, const Reading& r) {
    using namespace client::wire;
    if (format == Format::kText)
        return {
            device_name(r.device), text_timestamptz(r.measured_us), text_float8(r.temperature), text_float8(r.humidity), r.key,
            region_name(r.device)};
    return {device_name(r.device),
            binary_timestamptz(r.measured_us),
            binary_float8(r.temperature),
            binary_float8(r.humidity),
            r.key,
            region_name(r.device)};
}

std::vector<std::string> encode_arrays(Format format, const Reading* begin, const Reading* end) {
    Array devices(TypeOid::kText, format), measured(TypeOid::kTimestamptz, format), temperatures(TypeOid::kFloat8, format),
        humidities(TypeOid::kFloat8, format), keys(TypeOid::kText, format), regions(TypeOid::kText, format);
    for (const Reading* r = begin; r != end; ++r) {
        devices.add(device_name(r->device));
        measured.add_timestamptz(r->measured_us);
        temperatures.add_float8(r->temperature);
        humidities.add_float8(r->humidity);
        keys.add(r->key);
        regions.add(region_name(r->device));
    }
    return {devices.value(), measured.value(), temperatures.value(), humidities.value(), keys.value(), regions.value()};
}

Transaction encode(InsertMethod method, Format format, const Reading* begin, const Reading* end) {
    Transaction t;
    t.readings = static_cast<int>(end - begin);
    if (copies(method))
        t.copy = encode_rows(method, format, begin, end);
    else if (method == InsertMethod::kJson)
        t.parameters = {encode_json(begin, end)};
    else if (sends_one(method))
        t.parameters = encode_values(format, *begin);
    else
        t.parameters = encode_arrays(format, begin, end);
    return t;
}

}  // namespace

void prepare_statement(Connection& connection, InsertMethod method) {
    const std::string columns = "device_id, measured_at, temperature, humidity, idempotency_key, region";
    switch (method) {
        case InsertMethod::kArrays:
            connection.prepare("store",
                               "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::text[], $2::timestamptz[], "
                               "$3::float8[], $4::float8[], $5::text[], regions => $6::text[])");
            break;
        case InsertMethod::kJson:
            connection.prepare("store", "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::json)");
            break;
        case InsertMethod::kCall:
            connection.prepare("store",
                               "SELECT (telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, "
                               "region => $6)).status");
            break;
        case InsertMethod::kInsert:
            connection.prepare("store", "WITH stored AS (INSERT INTO plain (" + columns +
                                            ") SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], "
                                            "$5::text[], $6::text[]) ON CONFLICT (idempotency_key) DO NOTHING RETURNING 1) "
                                            "SELECT count(*) FROM stored");
            break;
        case InsertMethod::kInsertRow:
            connection.prepare("store", "INSERT INTO plain (" + columns +
                                            ") VALUES ($1, $2::timestamptz, $3::float8, $4::float8, $5, $6) "
                                            "ON CONFLICT (idempotency_key) DO NOTHING");
            break;
        case InsertMethod::kInbox:
        case InsertMethod::kCopy:
        case InsertMethod::kCopyAll:
            break;
    }
}

std::int64_t send(Connection& connection, InsertMethod method, Format format, const Transaction& t) {
    if (copies(method)) {
        const std::string relation = method == InsertMethod::kInbox ? "telemetry.inbox" : "plain";
        const std::string metrics = method == InsertMethod::kCopy ? "" : "metrics, ";
        return connection.copy_in("COPY " + relation + " (device_id, measured_at, temperature, humidity, idempotency_key, " +
                                      metrics + "region) FROM STDIN" + (format == Format::kBinary ? " (FORMAT binary)" : ""),
                                  t.copy);
    }
    const bool is_binary = format == Format::kBinary && method != InsertMethod::kJson;
    std::vector<Parameter> parameters;
    parameters.reserve(t.parameters.size());
    for (const std::string& parameter : t.parameters) parameters.push_back({parameter, false, is_binary});
    const client::Result result = connection.run_prepared("store", parameters);
    if (method == InsertMethod::kInsertRow) return result.changed();
    if (method == InsertMethod::kCall) return result.text(0, 0) == "accepted" ? 1 : 0;
    return result.integer(0, 0);
}

std::vector<Transaction> prepare(InsertMethod method, Format format, const std::vector<Reading>& readings,
                                 int per_transaction) {
    std::vector<Transaction> transactions;
    const auto step = static_cast<std::size_t>(sends_one(method) ? 1 : per_transaction);
    for (std::size_t first = 0; first < readings.size(); first += step) {
        const std::size_t last = std::min(first + step, readings.size());
        transactions.push_back(encode(method, format, readings.data() + first, readings.data() + last));
    }
    return transactions;
}

Stored store(const std::string& conninfo, InsertMethod method, Format format, const std::vector<Transaction>& transactions,
             int clients, const std::function<bool()>& is_over) {
    Connection observer(conninfo);
    std::vector<Connection> connections;
    for (int i = 0; i < clients; ++i) {
        connections.emplace_back(conninfo);
        prepare_statement(connections.back(), method);
    }

    const std::string wal_before = observer.run_text("SELECT pg_current_wal_insert_lsn()");
    std::vector<std::int64_t> accepted(connections.size(), 0);
    std::vector<std::exception_ptr> failures(connections.size());
    std::barrier start(static_cast<std::ptrdiff_t>(connections.size() + 1));
    std::vector<std::thread> threads;
    for (std::size_t c = 0; c < connections.size(); ++c) {
        threads.emplace_back([&, c] {
            start.arrive_and_wait();
            try {
                for (std::size_t i = c; i < transactions.size() && !is_over(); i += connections.size())
                    accepted[c] += send(connections[c], method, format, transactions[i]);
            } catch (...) {
                failures[c] = std::current_exception();
            }
        });
    }
    start.arrive_and_wait();
    const auto begin = Clock::now();
    for (std::thread& thread : threads) thread.join();
    Stored result;
    result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    for (const std::int64_t n : accepted) result.accepted += n;
    result.wal_bytes = observer.run_integer("SELECT pg_current_wal_insert_lsn() - '" + wal_before + "'::pg_lsn");
    return result;
}

void prefill(const std::string& conninfo, InsertMethod method, Fleet& fleet, std::int64_t first, std::int64_t count) {
    Connection connection(conninfo);
    connection.run("SET synchronous_commit = off");
    prepare_statement(connection, method);
    for (std::int64_t done = 0; done < count; done += kPrefillTransaction) {
        const std::int64_t some = std::min<std::int64_t>(kPrefillTransaction, count - done);
        const std::vector<Reading> readings = fleet.readings(first + done, some);
        send(connection, method, Format::kBinary,
             encode(method, Format::kBinary, readings.data(), readings.data() + readings.size()));
    }
    // One commit that waits for the disk makes the earlier ones safe too, so that readers can set hint bits.
    connection.run("SET synchronous_commit = on");
    connection.run("SELECT pg_current_xact_id()");
}

}  // namespace bench
