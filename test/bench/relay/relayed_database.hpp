// A database on the running server whose events the relay sends. The settings of the relay are those of the whole server, so
// only one such database exists at a time.
#pragma once

#include <cstdint>
#include <string>

#include "benchmarks.hpp"
#include "connection.hpp"

namespace bench {

enum class Sinks { kNats, kRedis, kBoth };

class RelayedDatabase {
public:
    RelayedDatabase(const Setup& setup, const std::string& name);
    RelayedDatabase(const RelayedDatabase&) = delete;
    RelayedDatabase& operator=(const RelayedDatabase&) = delete;
    ~RelayedDatabase();  // turns the relay off and drops the database

    const std::string& conninfo() const { return conninfo_; }
    client::Connection& connection() { return connection_; }

    // Both wait until it is so.
    void turn_on(Sinks sinks);
    void turn_off();

    // Waits until the relay has sent everything that was committed before.
    void wait_until_sent();

    // Processor time of the relay since its start.
    double relay_cpu_seconds();

private:
    void set(const std::string& setting, const std::string& url);
    void wait_for(const std::string& condition);

    const Setup& setup_;
    std::string name_;
    std::string conninfo_;
    client::Connection connection_;
};

// Processor time of this process, with all its threads.
double own_cpu_seconds();

}  // namespace bench
