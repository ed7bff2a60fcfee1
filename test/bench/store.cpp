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

Transaction encode(InsertMethod method, Format format, const Reading* begin, const Reading* end) {
    Transaction t;
    t.readings = static_cast<int>(end - begin);
    if (method == InsertMethod::kCopy) {
        CopyRows rows(format, 6);
        for (const Reading* r = begin; r != end; ++r) {
            rows.begin_row();
            rows.add(device_name(r->device));
            rows.add_timestamptz(r->measured_us);
            rows.add_float8(r->temperature);
            rows.add_float8(r->humidity);
            rows.add(r->key);
            rows.add(region_name(r->device));
            rows.end_row();
        }
        t.copy = rows.data();
        return t;
    }
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
    t.arrays = {devices.value(), measured.value(), temperatures.value(), humidities.value(), keys.value(), regions.value()};
    return t;
}

}  // namespace

void prepare_statement(Connection& connection, InsertMethod method) {
    if (method == InsertMethod::kArrays)
        connection.prepare("store",
                           "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::text[], $2::timestamptz[], $3::float8[], "
                           "$4::float8[], $5::text[], regions => $6::text[])");
    if (method == InsertMethod::kInsert)
        connection.prepare(
            "store",
            "WITH stored AS (INSERT INTO plain (device_id, measured_at, temperature, humidity, idempotency_key, region) "
            "SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::text[], $6::text[]) "
            "ON CONFLICT (idempotency_key) DO NOTHING RETURNING 1) SELECT count(*) FROM stored");
}

std::int64_t send(Connection& connection, InsertMethod method, Format format, const Transaction& t) {
    if (method == InsertMethod::kCopy) {
        return connection.copy_in(
            std::string("COPY plain (device_id, measured_at, temperature, humidity, idempotency_key, region) "
                        "FROM STDIN") +
                (format == Format::kBinary ? " (FORMAT binary)" : ""),
            t.copy);
    }
    std::vector<Parameter> parameters;
    for (const std::string& array : t.arrays) parameters.push_back({array, false, format == Format::kBinary});
    return connection.run_prepared("store", parameters).integer(0, 0);
}

std::vector<Transaction> prepare(InsertMethod method, Format format, const std::vector<Reading>& readings,
                                 int per_transaction) {
    std::vector<Transaction> transactions;
    const auto step = static_cast<std::size_t>(per_transaction);
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
