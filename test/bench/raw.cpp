// A client asks for ten minutes of one device's readings, of the log and of a plain table with an index. Another one stores
// batches while the log has its index by device and time, and while it has none.
#include "benchmarks.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr int kPerTransaction = 1000;

// Returns devices, each with ten minutes in which it sent, as text.
client::Result questions(Connection& connection, int count) {
    return connection.run(
        "SELECT device_id, at, at + interval '10 minutes' FROM (SELECT device_id, first_seen + random() * greatest(last_seen - "
        "first_seen - interval '10 minutes', '0') AS at FROM telemetry.device_stats ORDER BY random() LIMIT " +
        std::to_string(count) + ") AS q");
}

// Prepares the query of a table or view, under its name.
void prepare_query(Connection& connection, const std::string& relation) {
    connection.prepare(relation, "SELECT measured_at, temperature, humidity FROM " + relation +
                                     " WHERE device_id = $1 AND measured_at >= $2::timestamptz AND measured_at < "
                                     "$3::timestamptz");
}

struct Answers {
    std::int64_t rows = 0;
    double seconds = 0;
};

Answers ask(Connection& connection, const std::string& relation, const client::Result& questions) {
    Answers answers;
    const auto begin = Clock::now();
    for (int i = 0; i < questions.rows(); ++i)
        answers.rows +=
            connection.run_prepared(relation, {{questions.text(i, 0)}, {questions.text(i, 1)}, {questions.text(i, 2)}}).rows();
    answers.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return answers;
}

// Waits until the projector has entered the readings into the index, but for the few blocks that it leaves for later.
void wait_settled(Connection& connection) {
    const auto deadline = Clock::now() + std::chrono::minutes(5);
    while (connection.run_integer("SELECT tail_blocks + noted_blocks FROM "
                                  "telemetry.reading_index_status('telemetry.event_1_readings')") >= 16) {
        if (Clock::now() > deadline) throw std::runtime_error("raw: the index is not complete after five minutes");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

Table read_raw(const Setup& setup, const std::string& conninfo) {
    const std::string plain = "plain", log = "telemetry.measurements";
    Connection connection(conninfo);
    connection.run(
        "CREATE TABLE plain AS SELECT device_id, measured_at, temperature, humidity, idempotency_key, region FROM "
        "telemetry.event_1");
    connection.run("CREATE INDEX ON plain (device_id, measured_at)");
    settle(conninfo);
    wait_settled(connection);
    for (const std::string& relation : {plain, log}) prepare_query(connection, relation);

    Table table("raw", "ten minutes of one device's readings, " + std::to_string(setup.stored_before()) + " stored",
                "queries/s", true);
    table.line("plain table, index on (device_id, measured_at)", "plain table, index on (device_id, measured_at)");
    table.line("telemetry.measurements", "plain table, index on (device_id, measured_at)");
    for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
        const client::Result asked = questions(connection, setup.quick ? 200 : 4000);
        std::int64_t rows[2] = {0, 0};
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_log = (turn + round) % 2 != 0;
            const Answers answers = ask(connection, is_log ? log : plain, asked);
            rows[turn] = answers.rows;
            if (round < 0) continue;
            const std::string label = is_log ? "telemetry.measurements" : "plain table, index on (device_id, measured_at)";
            table.add(label, asked.rows() / answers.seconds);
            table.add_side(label, "rows a query", static_cast<double>(answers.rows) / asked.rows());
        }
        if (rows[0] != rows[1] || rows[0] == 0) throw std::runtime_error("raw: log and plain table give different readings");
    }
    connection.run("DROP TABLE plain");
    return table;
}

struct Log {
    std::string label, conninfo;
    std::int64_t next;
};

Table store_indexed(const Setup& setup, Log (&logs)[2]) {
    const std::string with = logs[0].label, without = logs[1].label;
    Table table("raw-ingest", "1,000 readings a transaction, 1 client, projector running, index by device and time",
                "readings/s", true);
    const auto at_lag_0 = [](const std::string& label) { return label + ": lag 0"; };
    for (const std::string& label : {without, with}) table.line(label, without);
    for (const std::string& label : {without, with}) table.line(at_lag_0(label), at_lag_0(without));
    const std::int64_t count = setup.per_run();
    for (int round = -1; round < setup.rounds; ++round) {  // Round -1 pays for full-page images and cold caches.
        for (int turn = 0; turn < 2; ++turn) {
            Log& log = logs[(turn + round) % 2 == 0 ? 0 : 1];
            Fleet fleet(Keys::kSequence);
            const auto work = prepare(InsertMethod::kArrays, Format::kBinary, fleet.readings(log.next, count), kPerTransaction);
            log.next += count;
            const Stored stored = store(log.conninfo, InsertMethod::kArrays, Format::kBinary, work, 1);
            Connection observer(log.conninfo);
            const double more = wait_applied(observer, log.next);
            if (round < 0) continue;
            table.add(log.label, static_cast<double>(count) / stored.seconds);
            table.add_side(log.label, "WAL B/reading", static_cast<double>(stored.wal_bytes) / static_cast<double>(count));
            table.add(at_lag_0(log.label), static_cast<double>(count) / (stored.seconds + more));
        }
    }
    return table;
}

}  // namespace

std::vector<Table> raw(const Setup& setup) {
    const std::int64_t count = setup.stored_before();
    say("raw: storing " + std::to_string(count) + " readings, with the index and without it");
    Log logs[] = {{"with the index", make_database(setup.servers.running, "raw_indexed"), count},
                  {"without it", make_database(setup.servers.running, "raw_bare"), count}};
    for (const Log& log : logs) {
        install_extension(log.conninfo, ProjectorState::kRunning);
        Connection connection(log.conninfo);
        if (&log != logs) connection.run("DROP INDEX telemetry.event_1_readings");
        Fleet fleet(Keys::kSequence);
        prefill(log.conninfo, InsertMethod::kArrays, fleet, 0, count);
        wait_applied(connection, count);
    }
    std::vector<Table> tables;
    tables.push_back(read_raw(setup, logs[0].conninfo));
    settle(logs[1].conninfo);
    tables.push_back(store_indexed(setup, logs));
    return tables;
}

}  // namespace bench
