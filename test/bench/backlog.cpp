// CALL project_once() and the worker each apply waiting events to the read models. Beside them a plain SQL job reads the same
// log in chunks of 100,000 events and keeps the same statistics in plain tables.
#include "benchmarks.hpp"

#include <chrono>
#include <functional>

#include "sql_job.hpp"
#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kChunk = 100'000;

double seconds_of(const std::function<void()>& work) {
    const auto begin = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Cuts the transactions since this one into chunks of about 100,000 events. Returns the edges of half-open ranges of xids.
std::vector<std::string> chunk_edges(Connection& connection, const std::string& since) {
    const client::Result per_transaction =
        connection.run("SELECT xid, count(*) FROM telemetry.event_1 WHERE xid >= '" + since + "' GROUP BY xid ORDER BY xid");
    std::vector<std::string> edges = {since};
    std::int64_t in_chunk = 0;
    for (int row = 0; row < per_transaction.rows(); ++row) {
        if (in_chunk + per_transaction.integer(row, 1) > kChunk && in_chunk > 0) {
            edges.emplace_back(per_transaction.text(row, 0));
            in_chunk = 0;
        }
        in_chunk += per_transaction.integer(row, 1);
    }
    edges.push_back(connection.run_text("SELECT pg_snapshot_xmax(pg_current_snapshot())"));
    return edges;
}

// A job that reads the log. It has a session without synchronous_commit, as the projector has.
class LogJob {
public:
    LogJob(const std::string& conninfo, const std::string& prefix, const JobTables& tables,
           SqlJob::Edges edges = SqlJob::Edges::kKept)
        : connection_(conninfo), job_(connection_, prefix, tables, edges) {
        connection_.run("SET synchronous_commit = off");
        connection_.prepare("apply", job_.statement("telemetry.event_1 WHERE xid >= $1::xid8 AND xid < $2::xid8 AND type = "
                                                    "'telemetry.ingested'"));
    }

    // Applies the events of these transactions, with one statement and one commit a chunk.
    double seconds_for(const std::vector<std::string>& edges) {
        return seconds_of([&] {
            for (std::size_t i = 0; i + 1 < edges.size(); ++i) connection_.run_prepared("apply", {{edges[i]}, {edges[i + 1]}});
        });
    }

    void check() { job_.check(connection_); }

private:
    Connection connection_;
    SqlJob job_;
};

// A running worker cannot be stopped, so its backlog is one open transaction until the commit.
double seconds_of_worker(const std::string& conninfo, Fleet fleet, std::int64_t first, std::int64_t count) {
    Connection writer(conninfo), watcher(conninfo);
    prepare_statement(writer, InsertMethod::kArrays);
    writer.run("BEGIN");
    for (std::int64_t done = 0; done < count; done += kChunk)
        for (const Transaction& t : prepare(InsertMethod::kArrays, Format::kBinary,
                                            fleet.readings(first + done, std::min(kChunk, count - done)), 10'000))
            send(writer, InsertMethod::kArrays, Format::kBinary, t);
    return seconds_of([&] {
        writer.run("COMMIT");
        wait_applied(watcher, first + count);
    });
}

std::vector<Table> backlog_of(const Setup& setup, const std::string& name, int devices) {
    const std::int64_t count = setup.backlog();
    const std::string conninfo = make_database(setup.servers.stopped, "backlog");  // in place of an earlier one
    install_extension(conninfo, ProjectorState::kStopped);
    const std::string followed = make_database(setup.servers.running, "backlog");
    install_extension(followed, ProjectorState::kRunning);

    Connection connection(conninfo);
    connection.run("SET synchronous_commit = off");
    LogJob same(conninfo, "same", over_all_time()), fewer(conninfo, "fewer", over_all_time(), SqlJob::Edges::kLeftOut),
        all(conninfo, "every", over_all_time_and_buckets());

    const std::string title = std::to_string(count) + " events of " + std::to_string(devices) + " devices, 2 metrics";
    const std::string ours = "project_once(): device and region", ours_all = "project_once(): all eight projections",
                      worker = "the worker: all eight projections, after one transaction of all",
                      sql = "plain SQL job: device and region", sql_fewer = "the same without first and last values",
                      sql_all = "plain SQL job: device and region, over all time, by minute and hour";
    Table fresh(name + "-first", title + ", tables empty before (1 round)", "events/s", true);
    Table table(name, title + ", rows there before (updates)", "events/s", true);
    for (Table* t : {&fresh, &table}) {
        for (const std::string& label : {sql, sql_fewer, ours}) t->line(label, sql);
        for (const std::string& label : {sql_all, ours_all, worker}) t->line(label, sql_all);
    }

    const Fleet fleet(Keys::kSequence, devices);
    for (int round = 0; round <= setup.rounds; ++round) {
        say(name + ": round " + std::to_string(round) + " of " + std::to_string(setup.rounds));
        Table& into = round == 0 ? fresh : table;
        const auto rate = [&](double seconds) { return static_cast<double>(count) / seconds; };
        const std::int64_t first = round * count;

        const std::string since = connection.run_text("SELECT pg_snapshot_xmax(pg_current_snapshot())");
        Fleet sender = fleet;
        prefill(conninfo, InsertMethod::kArrays, sender, first, count);

        // Ours always goes first. It finds the rows as their writers left them, and sets the hint bits for the others.
        // The rollups wait until device and region are measured.
        const auto pass = [&] { connection.run("CALL telemetry.project_once()"); };
        connection.run("SELECT telemetry.pause_projection(projection) FROM telemetry.projection WHERE bucket IS NOT NULL");
        const double without_rollups = seconds_of(pass);
        into.add(ours, rate(without_rollups));
        connection.run("SELECT telemetry.resume_projection(projection) FROM telemetry.projection WHERE bucket IS NOT NULL");
        into.add(ours_all, rate(without_rollups + seconds_of(pass)));

        const std::vector<std::string> edges = chunk_edges(connection, since);
        connection.run("ANALYZE telemetry.event_1");
        into.add(sql, rate(same.seconds_for(edges)));
        into.add(sql_fewer, rate(fewer.seconds_for(edges)));
        into.add(sql_all, rate(all.seconds_for(edges)));
        for (LogJob* job : {&same, &fewer, &all}) job->check();

        into.add(worker, rate(seconds_of_worker(followed, fleet, first, count)));
    }
    const std::int64_t largest = connection.run_integer("SELECT max(events) FROM telemetry.batch");
    table.note("largest slice of ours: " + std::to_string(largest) +
               " events; chunks of the SQL job: 100,000 events, one commit each");
    table.note("the worker's figure includes the COMMIT of that transaction");
    table.note("all eight: the time for device and region, and that for the six rollups after them");
    const std::string size = connection.run_text(
        "SELECT string_agg(relname || ' ' || pg_size_pretty(pg_relation_size(oid)), ', ' ORDER BY relname) FROM pg_class "
        "WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'r' AND relname ~ '^state_device'");
    table.note("tables of ours afterwards: " + size);
    return {std::move(fresh), std::move(table)};
}

}  // namespace

std::vector<Table> backlog(const Setup& setup) {
    return backlog_of(setup, "backlog", kDevices);
}

std::vector<Table> backlog_of_many(const Setup& setup) {
    return backlog_of(setup, "backlog200k", 200'000);
}

std::vector<Table> minute(const Setup& setup) {
    constexpr std::int64_t kPerMinute = 60'000;
    const std::string conninfo = make_database(setup.servers.stopped, "minute");
    install_extension(conninfo, ProjectorState::kStopped);
    Connection connection(conninfo);
    connection.run("SET synchronous_commit = off");
    LogJob job(conninfo, "minute", {{"device_id", "minute"}});

    const std::string ours = "project_once(): device_1m", sql = "plain SQL job: the same by device and minute";
    Table table("minute", "a new minute in order, 60,000 events of 10,000 devices, 2 metrics, into statistics by minute",
                "events/s", true);
    table.line(sql, sql);
    table.line(ours, sql);

    // Minute 0 makes the plans, and warms up.
    connection.run("SELECT telemetry.pause_projection(projection) FROM telemetry.projection WHERE projection <> 'device_1m'");
    Fleet fleet(Keys::kSequence);
    const int minutes = setup.quick ? 2 : 10 * setup.rounds;
    for (int number = 0; number <= minutes; ++number) {
        const std::string since = connection.run_text("SELECT pg_snapshot_xmax(pg_current_snapshot())");
        prefill(conninfo, InsertMethod::kArrays, fleet, number * kPerMinute, kPerMinute);
        const std::vector<std::string> edges = chunk_edges(connection, since);
        double seconds_of_ours = 0, seconds_of_job = 0;
        const auto run_ours = [&] { seconds_of_ours = seconds_of([&] { connection.run("CALL telemetry.project_once()"); }); };
        if (number % 2 == 0) run_ours();
        seconds_of_job = job.seconds_for(edges);
        if (number % 2 == 1) run_ours();
        if (number == 0) {
            connection.run("ANALYZE telemetry.event_1");
            continue;
        }
        table.add(ours, static_cast<double>(kPerMinute) / seconds_of_ours);
        table.add(sql, static_cast<double>(kPerMinute) / seconds_of_job);
    }
    job.check();
    table.note("medians of " + std::to_string(minutes) +
               " minutes; ours reads the log twice, for the list of batches and for the rollup");
    return {std::move(table)};
}

}  // namespace bench
