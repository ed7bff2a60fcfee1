// The benchmarks work in databases on two servers, one without the projector's worker and one with it.
#pragma once

#include <cstdint>
#include <string>

#include "connection.hpp"
#include "fleet.hpp"

namespace bench {

struct Servers {
    std::string stopped;  // conninfo without dbname; the library is not preloaded, nothing reads the log
    std::string running;  // the library is preloaded, the projector follows
};

enum class ProjectorState { kStopped, kRunning };

// Creates the database anew and returns its conninfo.
std::string make_database(const std::string& server, const std::string& name);

// Creates the extension; with a running projector it waits until the worker is up.
void install_extension(const std::string& conninfo, ProjectorState projector);

// Creates the plain table on the other side of the ratio, with the same columns and one unique index on the key. Its collation
// is "C" as on our side, so that comparing keys costs no more there.
void make_plain_table(const std::string& conninfo);

// The same with the columns of telemetry.inbox, so with metrics.
void make_plain_table_with_metrics(const std::string& conninfo);

// Drops the database that make_database() made.
void drop_database(const std::string& conninfo);

// Waits until device_stats and region_stats hold this many readings; returns the seconds waited. Throws after 20 minutes.
double wait_applied(client::Connection& connection, std::int64_t readings);

// Runs VACUUM ANALYZE and CHECKPOINT, so that both sides start in the same state.
void settle(const std::string& conninfo);

}  // namespace bench
