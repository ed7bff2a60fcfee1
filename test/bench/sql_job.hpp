// The SQL that a user would write to keep statistics in plain tables: of devices and regions, over all time and in buckets.
#pragma once

#include <string>
#include <vector>

#include "connection.hpp"

namespace bench {

// A table of the job has a row for each key, and for each bucket of it.
struct JobTable {
    const char* key;     // device_id or region
    const char* bucket;  // a unit of date_trunc; null: over all time
};
using JobTables = std::vector<JobTable>;
inline JobTables over_all_time() {
    return {{"device_id", nullptr}, {"region", nullptr}};
}
// The two tables over all time come first.
inline JobTables over_all_time_and_buckets() {
    return {{"device_id", nullptr}, {"region", nullptr},   {"device_id", "minute"},
            {"region", "minute"},   {"device_id", "hour"}, {"region", "hour"}};
}

class SqlJob {
public:
    enum class Edges { kKept, kLeftOut };  // the first and the last values

    // Makes the tables; their names begin with the prefix.
    SqlJob(client::Connection& connection, std::string prefix, JobTables tables, Edges edges = Edges::kKept);

    // One statement that adds readings to all tables. The source has their columns, received_at among them.
    std::string statement(const std::string& source) const;

    std::string table(const JobTable& of) const;

    // Throws where the tables, those of devices over all time or by minute, differ from device_stats or device_stats_1m.
    // Figures of different jobs would compare nothing.
    void check(client::Connection& connection) const;

private:
    std::string prefix_;
    JobTables tables_;
    std::size_t columns_;
};

}  // namespace bench
