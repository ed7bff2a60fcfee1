#include "sql_job.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace bench {
namespace {

// The SQL job keeps these columns of a key. The last two are arrays (time, temperature, humidity), which sort by time: this is
// a cheaper way to first and last values than sorting each group.
struct Column {
    const char* name;
    const char* type;
    const char* from_reading;  // an aggregate over readings
    const char* merge;         // +, least or greatest of a state and a delta
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

bool has_region(const JobTable& t) {
    return t.key == std::string("device_id");
}

std::string keys(const JobTable& t) {
    return std::string(t.key) + (t.bucket == nullptr ? "" : ", bucket");
}

}  // namespace

SqlJob::SqlJob(client::Connection& connection, std::string prefix, JobTables tables, Edges edges)
    : prefix_(std::move(prefix)),
      tables_(std::move(tables)),
      columns_(edges == Edges::kKept ? std::size(kColumns) : kWithoutEdges) {
    std::string definitions;
    for (std::size_t i = 0; i < columns_; ++i) definitions += std::string(", ") + kColumns[i].name + " " + kColumns[i].type;
    for (const JobTable& t : tables_)
        connection.run("CREATE TABLE " + table(t) + " (" + t.key + " text COLLATE \"C\"" +
                       (t.bucket == nullptr ? "" : ", bucket timestamptz") +
                       (has_region(t) ? ", region text COLLATE \"C\"" : "") + definitions + ", PRIMARY KEY (" + keys(t) +
                       ")) WITH (fillfactor = 50)");
}

std::string SqlJob::table(const JobTable& of) const {
    return prefix_ + "_" + of.key + (of.bucket == nullptr ? "" : std::string("_") + of.bucket);
}

// One scan and one aggregation serve all tables. Unlike our projector, the job relies on a device having one region in a chunk.
std::string SqlJob::statement(const std::string& source) const {
    const bool has_buckets = std::ranges::any_of(tables_, [](const JobTable& t) { return t.bucket != nullptr; });
    std::string from_readings, names, from_deltas, merges;
    for (std::size_t i = 0; i < columns_; ++i) {
        const std::string name = kColumns[i].name, merge = kColumns[i].merge;
        from_readings += std::string(", ") + kColumns[i].from_reading + " AS " + name;
        names += ", " + name;
        const char* aggregate = merge == "+" ? "sum" : merge == "least" ? "min" : "max";
        from_deltas += std::string(", ") + aggregate + "(" + name + ")";
        merges += ", " + name + " = ";
        merges += merge == "+" ? "s." + name + " + excluded." + name : merge + "(s." + name + ", excluded." + name + ")";
    }
    std::string out = "WITH delta AS MATERIALIZED (SELECT device_id, region" +
                      std::string(has_buckets ? ", date_trunc('minute', measured_at) AS minute" : "") + from_readings +
                      " FROM " + source + " GROUP BY device_id, region" + (has_buckets ? ", minute" : "") + ")";
    for (std::size_t i = tables_.size(); i-- > 0;) {
        const JobTable& t = tables_[i];
        const std::string region = has_region(t) ? ", region" : "";
        const std::string cut = t.bucket == nullptr ? "" : std::string(", date_trunc('") + t.bucket + "', minute) AS bucket";
        const std::string insert = "INSERT INTO " + table(t) + " AS s (" + keys(t) + region + names + ") SELECT " + t.key +
                                   cut + region + from_deltas + " FROM delta GROUP BY " + keys(t) + region + " ORDER BY " +
                                   keys(t) + " ON CONFLICT (" + keys(t) + ") DO UPDATE SET " + merges.substr(2);
        out += i > 0 ? ", t" + std::to_string(i) + " AS (" + insert + ")" : " " + insert;
    }
    return out;
}

void SqlJob::check(client::Connection& connection) const {
    for (const JobTable& t : tables_) {
        if (!has_region(t)) continue;
        std::string ours, join = "p.device_id = d.device_id", counts;
        if (t.bucket == nullptr) {
            ours = "telemetry.device_stats";
            counts =
                "(p.sample_count, p.first_seen, p.last_seen, p.last_received_at, p.region, p.t_min, p.t_max, p.h_min, p.h_max) "
                "= "
                "(d.sample_count, d.first_seen, d.last_seen, d.last_received_at, d.region, d.min_temperature, "
                "d.max_temperature, d.min_humidity, d.max_humidity) AND abs(p.t_sum / p.t_count - d.avg_temperature) < 1e-6";
        } else if (t.bucket == std::string("minute")) {
            ours = "(SELECT * FROM telemetry.device_stats_1m WHERE metric = 'temperature')";
            join += " AND p.bucket = d.time";
            counts =
                "(p.t_count, p.t_min, p.t_max) = (d.sample_count, d.min, d.max) AND abs(p.t_sum / p.t_count - d.avg) < 1e-6";
        } else {
            continue;
        }
        const std::int64_t different = connection.run_integer("SELECT count(*) FROM " + table(t) + " p FULL JOIN " + ours +
                                                              " d ON " + join + " WHERE NOT coalesce(" + counts + ", false)");
        if (different != 0)
            throw std::runtime_error(std::to_string(different) + " rows differ between " + table(t) + " and " + ours);
    }
}

}  // namespace bench
