// The databases that the benchmarks work in, on two servers: one without the projector's worker and one with it.
#pragma once

#include <cstdint>
#include <string>

#include "connection.hpp"
#include "fleet.hpp"

namespace bench {

struct Servers {
    std::string stopped;  // conninfo without dbname: library not preloaded, nothing reads the log
    std::string running;  // library preloaded, the projector follows
};

enum class Projector { stopped, running };

// Creates the database anew and returns its conninfo.
std::string make_database(const std::string& server, const std::string& name);

// CREATE EXTENSION; with a running projector waits until the worker is up.
void install_extension(const std::string& conninfo, Projector projector);

// The plain table on the other side of the ratio: the same columns, one unique index on the key. Collation "C" as on our side,
// so that comparing keys costs no more there.
void make_plain_table(const std::string& conninfo);

// Waits until device_stats and region_stats hold this many readings; returns the seconds waited. Throws after five minutes.
double wait_applied(client::Connection& connection, std::int64_t readings);

// VACUUM ANALYZE and CHECKPOINT: the state in which both sides start.
void settle(const std::string& conninfo);

}  // namespace bench
