// CALL project_once() and the worker each apply a million waiting events to the read models. Beside them a plain SQL job reads
// the same log in chunks of 100,000 events and keeps the same statistics in plain tables.
#include "benchmarks.hpp"

#include <chrono>
#include <iterator>
#include <stdexcept>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kChunk = 100'000;

// The SQL job keeps these columns of a device or region. The last two are arrays (time, temperature, humidity), which sort by
// time: this is a cheaper way to first and last values than sorting each group.
struct Column {
    const char* name;
    const char* type;
    const char* from_event;  // an aggregate over events
    const char* merge;       // +, least or greatest of a state and a delta
};

constexpr Column kColumns[] = {
    {"sample_count", "bigint", "count(*)", "+"},
    {"first_seen", "timestamptz", "min(measured_at)", "least"},
    {"last_seen", "timestamptz", "max(measured_at)", "greatest"},
    {"last_received_at", "timestamptz", "max(received_at)", "greatest"},
    {"t_count", "bigint", "count(temperature)", "+"},
    {"t_sum", "float8", "sum(temperature)", "+"},
    {"t_squares", "float8", "sum(temperature * temperature)", "+"},
    {"t_min", "float8", "min(temperature)", "least"},
    {"t_max", "float8", "max(temperature)", "greatest"},
    {"h_count", "bigint", "count(humidity)", "+"},
    {"h_sum", "float8", "sum(humidity)", "+"},
    {"h_squares", "float8", "sum(humidity * humidity)", "+"},
    {"h_min", "float8", "min(humidity)", "least"},
    {"h_max", "float8", "max(humidity)", "greatest"},
    {"first_values", "float8[]", "min(ARRAY[date_part('epoch', measured_at), temperature, humidity])", "least"},
    {"last_values", "float8[]", "max(ARRAY[date_part('epoch', measured_at), temperature, humidity])", "greatest"},
};
constexpr std::size_t kWithoutEdges = std::size(kColumns) - 2;

// A table of the job: a row for each key, and for each bucket of it.
struct JobTable {
    const char* key;     // device_id or region
    const char* bucket;  // a unit of date_trunc; null: over all time
};
constexpr JobTable kTables[] = {{"device_id", nullptr}, {"region", nullptr},   {"device_id", "minute"},
                                {"region", "minute"},   {"device_id", "hour"}, {"region", "hour"}};
constexpr std::size_t kWithoutBuckets = 2;

class SqlJob {
public:
    SqlJob(const std::string& conninfo, const std::string& prefix, bool edges, bool buckets)
        : connection_(conninfo),
          prefix_(prefix),
          columns_(edges ? std::size(kColumns) : kWithoutEdges),
          tables_(buckets ? std::size(kTables) : kWithoutBuckets) {
        connection_.run("SET synchronous_commit = off");
        std::string definitions;
        for (std::size_t i = 0; i < columns_; ++i) definitions += std::string(", ") + kColumns[i].name + " " + kColumns[i].type;
        for (std::size_t i = 0; i < tables_; ++i) {
            const bool has_region = kTables[i].key == std::string("device_id");
            connection_.run("CREATE TABLE " + table(kTables[i]) + " (" + kTables[i].key + " text COLLATE \"C\"" +
                            (kTables[i].bucket == nullptr ? "" : ", bucket timestamptz") +
                            (has_region ? ", region text COLLATE \"C\"" : "") + definitions + ", PRIMARY KEY (" +
                            keys(kTables[i]) + ")) WITH (fillfactor = 50)");
        }
        connection_.prepare("apply", statement());
    }

    // Applies the events of these transactions, with one statement and one commit a chunk.
    double seconds_for(const std::vector<std::string>& chunk_edges) {
        const auto begin = Clock::now();
        for (std::size_t i = 0; i + 1 < chunk_edges.size(); ++i)
            connection_.run_prepared("apply", {{chunk_edges[i]}, {chunk_edges[i + 1]}});
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    std::string device_table() const { return table(kTables[0]); }

private:
    std::string table(const JobTable& t) const {
        return prefix_ + "_" + t.key + (t.bucket == nullptr ? "" : std::string("_") + t.bucket);
    }
    static std::string keys(const JobTable& t) { return std::string(t.key) + (t.bucket == nullptr ? "" : ", bucket"); }

    // One scan and one aggregation serve all tables. Unlike our projector, the job relies on a device having one region in a
    // chunk.
    std::string statement() const {
        const bool has_buckets = tables_ > kWithoutBuckets;
        std::string from_events, names, from_deltas;
        for (std::size_t i = 0; i < columns_; ++i) {
            const Column& c = kColumns[i];
            const std::string merge = c.merge;
            from_events += std::string(", ") + c.from_event + " AS " + c.name;
            names += std::string(", ") + c.name;
            const char* aggregate = merge == "+" ? "sum" : merge == "least" ? "min" : "max";
            from_deltas += std::string(", ") + aggregate + "(" + c.name + ")";
        }
        std::string out =
            "WITH delta AS MATERIALIZED (SELECT device_id, region" +
            std::string(has_buckets ? ", date_trunc('minute', measured_at) AS minute" : "") + from_events +
            " FROM telemetry.event_1 WHERE xid >= $1::xid8 AND xid < $2::xid8 AND type = 'telemetry.ingested' GROUP BY "
            "device_id, region" +
            (has_buckets ? ", minute" : "") + ")";
        for (std::size_t i = tables_; i-- > 0;) {
            const JobTable& t = kTables[i];
            const std::string region = t.key == std::string("device_id") ? ", region" : "";
            const std::string bucket = t.bucket == nullptr ? "" : ", bucket";
            const std::string cut =
                t.bucket == nullptr ? "" : std::string(", date_trunc('") + t.bucket + "', minute) AS bucket";
            const std::string insert = "INSERT INTO " + table(t) + " AS s (" + t.key + bucket + region + names + ") SELECT " +
                                       t.key + cut + region + from_deltas + " FROM delta GROUP BY " + t.key + bucket + region +
                                       " ORDER BY " + keys(t) + " ON CONFLICT (" + keys(t) +
                                       ") DO UPDATE SET region = excluded.region" + merges();
            out += i > 0 ? ", t" + std::to_string(i) + " AS (" + insert + ")" : " " + insert;
        }
        return out;
    }

    std::string merges() const {
        std::string out;
        for (std::size_t i = 0; i < columns_; ++i) {
            const std::string name = kColumns[i].name, merge = kColumns[i].merge;
            out += ", " + name + " = ";
            out += merge == "+" ? "s." + name + " + excluded." + name : merge + "(s." + name + ", excluded." + name + ")";
        }
        return out;
    }

    Connection connection_;
    std::string prefix_;
    std::size_t columns_, tables_;
};

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

// Throws where the two sides keep different statistics, because figures of different jobs would compare nothing.
void check_equal(Connection& connection, const SqlJob& job) {
    const std::int64_t equal =
        connection.run_integer("SELECT count(*) FROM " + job.device_table() +
                               " p JOIN telemetry.device_stats d USING (device_id, sample_count, first_seen, last_seen, "
                               "last_received_at, region) WHERE p.t_min = d.min_temperature AND p.t_max = d.max_temperature "
                               "AND p.h_min = d.min_humidity "
                               "AND p.h_max = d.max_humidity AND abs(p.t_sum / p.t_count - d.avg_temperature) < 1e-6");
    if (equal != kDevices)
        throw std::runtime_error("backlog: " + std::to_string(kDevices - equal) + " devices differ between " +
                                 job.device_table() + " and device_stats");
}

}  // namespace

std::vector<Table> backlog(const Setup& setup) {
    const std::int64_t count = setup.backlog();
    const std::string conninfo = make_database(setup.servers.stopped, "backlog");
    install_extension(conninfo, ProjectorState::kStopped);
    const std::string followed = make_database(setup.servers.running, "backlog");
    install_extension(followed, ProjectorState::kRunning);

    Connection connection(conninfo), writer(followed), watcher(followed);
    connection.run("SET synchronous_commit = off");
    SqlJob same(conninfo, "same", true, false), fewer(conninfo, "fewer", false, false), all(conninfo, "every", true, true);

    const std::string title = std::to_string(count) + " events of 10,000 devices, 2 metrics";
    const std::string ours = "project_once(): device and region", ours_all = "project_once(): all eight projections",
                      worker = "the worker: all eight projections, after one transaction of all",
                      sql = "plain SQL job: device and region", sql_fewer = "the same without first and last values",
                      sql_all = "plain SQL job: device and region, over all time, by minute and hour";
    Table fresh("backlog-first", title + ", tables empty before (1 round)", "events/s", true);
    Table table("backlog", title + ", rows there before (updates)", "events/s", true);
    for (Table* t : {&fresh, &table}) {
        for (const std::string& label : {sql, sql_fewer, ours}) t->line(label, sql);
        for (const std::string& label : {sql_all, ours_all, worker}) t->line(label, sql_all);
    }

    Fleet fleet(Keys::kSequence);
    for (int round = 0; round <= setup.rounds; ++round) {
        say("backlog: round " + std::to_string(round) + " of " + std::to_string(setup.rounds));
        Table& into = round == 0 ? fresh : table;
        const auto rate = [&](double seconds) { return static_cast<double>(count) / seconds; };
        const std::int64_t first = round * count;

        const std::string since = connection.run_text("SELECT pg_snapshot_xmax(pg_current_snapshot())");
        prefill(conninfo, InsertMethod::kArrays, fleet, first, count);

        // Ours always goes first. It finds the rows as their writers left them, and sets the hint bits for the others.
        // The rollups wait until device and region are measured.
        const auto seconds_of_pass = [&] {
            const auto begin = Clock::now();
            connection.run("CALL telemetry.project_once()");
            return std::chrono::duration<double>(Clock::now() - begin).count();
        };
        connection.run("SELECT telemetry.pause_projection(projection) FROM telemetry.projection WHERE bucket IS NOT NULL");
        const double without_rollups = seconds_of_pass();
        into.add(ours, rate(without_rollups));
        connection.run("SELECT telemetry.resume_projection(projection) FROM telemetry.projection WHERE bucket IS NOT NULL");
        into.add(ours_all, rate(without_rollups + seconds_of_pass()));

        const std::vector<std::string> edges = chunk_edges(connection, since);
        connection.run("ANALYZE telemetry.event_1");
        into.add(sql, rate(same.seconds_for(edges)));
        into.add(sql_fewer, rate(fewer.seconds_for(edges)));
        into.add(sql_all, rate(all.seconds_for(edges)));
        check_equal(connection, same);
        check_equal(connection, fewer);

        // A running worker cannot be stopped, so the backlog is one open transaction until its commit.
        Fleet again(Keys::kSequence);
        writer.prepare("store" + std::to_string(round),
                       "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::text[], $2::timestamptz[], "
                       "$3::float8[], $4::float8[], $5::text[], regions => $6::text[])");
        writer.run("BEGIN");
        for (const Transaction& t : prepare(InsertMethod::kArrays, Format::kBinary, again.readings(first, count), 10'000)) {
            std::vector<client::Parameter> parameters;
            for (const std::string& array : t.arrays) parameters.push_back({array, false, true});
            writer.run_prepared("store" + std::to_string(round), parameters);
        }
        const auto commit = Clock::now();
        writer.run("COMMIT");
        wait_applied(watcher, first + count);
        into.add(worker, rate(std::chrono::duration<double>(Clock::now() - commit).count()));
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

}  // namespace bench
