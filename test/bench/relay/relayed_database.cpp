#include "relay/relayed_database.hpp"

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string make_with_extension(const Setup& setup, const std::string& name) {
    std::string conninfo = make_database(setup.servers.running, name);
    install_extension(conninfo, ProjectorState::kRunning);
    return conninfo;
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

RelayedDatabase::RelayedDatabase(const Setup& setup, const std::string& name)
    : setup_(setup), name_(name), conninfo_(make_with_extension(setup, name)), connection_(conninfo_) {}

RelayedDatabase::~RelayedDatabase() {
    try {
        turn_off();
        client::Connection other(setup_.servers.running + " dbname=postgres");
        other.run("DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception& error) {
        say("could not remove the database " + name_ + ": " + error.what());
    }
}

void RelayedDatabase::set(const std::string& setting, const std::string& url) {
    connection_.run("ALTER SYSTEM SET telemetry_cqrs." + setting + " = '" + url + "'");
}

void RelayedDatabase::wait_for(const std::string& condition) {
    const auto deadline = Clock::now() + std::chrono::minutes(5);
    while (connection_.run_text("SELECT " + condition + " FROM telemetry.relay_status") != "t") {
        if (Clock::now() > deadline)
            throw std::runtime_error("the relay: not within 5 minutes: " + condition + "; it says: " +
                                     connection_.run_text("SELECT string_agg(r::text, ' ') FROM telemetry.relay_status r"));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void RelayedDatabase::turn_on(Sinks sinks) {
    const bool nats = sinks != Sinks::kRedis, redis = sinks != Sinks::kNats;
    set("nats_url", nats ? "nats://127.0.0.1:" + std::to_string(setup_.nats_port) : "");
    set("redis_url", redis ? "redis://127.0.0.1:" + std::to_string(setup_.redis_port) : "");
    connection_.run("SELECT pg_reload_conf()");
    wait_for(std::string("count(*) FILTER (WHERE state = 'connected' AND adopted_at IS NOT NULL) = ") +
             (nats && redis ? "2" : "1"));
}

void RelayedDatabase::turn_off() {
    set("nats_url", "");
    set("redis_url", "");
    connection_.run("SELECT pg_reload_conf()");
    wait_for("count(pid) = 0 AND bool_and(state = 'off')");
}

void RelayedDatabase::wait_until_sent() {
    wait_for("coalesce(max(lag_events), 0) = 0 AND coalesce(max(pending), 0) = 0");
}

// The fields of /proc/PID/stat behind the name of the program, which has no space.
double RelayedDatabase::relay_cpu_seconds() {
    const std::string pid = connection_.run_text("SELECT max(pid) FROM telemetry.relay_status");
    std::ifstream file("/proc/" + pid + "/stat");
    std::string line;
    std::getline(file, line);
    std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 2)));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    if (!(fields >> user >> system)) throw std::runtime_error("no processor time of the relay, process " + pid);
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double own_cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

}  // namespace bench
