// Writers with limits that never refuse stand beside writers without any: telemetry_cqrs.device_rate and total_rate. Limits
// need a preloaded library, so both sides are on the server "running". With a stopped projector its workers are switched off.
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include "sides.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr const char* kNoLimit = "0";
constexpr const char* kHighLimit = "1e+09";  // readings a second, as the server shows them

// Changes settings of the whole server, and takes all changes back in the end.
class ServerSettings {
public:
    explicit ServerSettings(std::string server) : server_(std::move(server)) {}
    ServerSettings(const ServerSettings&) = delete;
    ServerSettings& operator=(const ServerSettings&) = delete;
    ~ServerSettings() {
        try {
            Connection connection = connect();
            for (const std::string& name : changed_) connection.run("ALTER SYSTEM RESET telemetry_cqrs." + name);
            connection.run("SELECT pg_reload_conf()");
        } catch (const std::exception& error) {
            say(std::string("quotas: the settings stay changed: ") + error.what());
        }
    }

    bool has_limits() {
        return connect().run_integer(
                   "SELECT count(*) FROM pg_settings WHERE name IN ('telemetry_cqrs.device_rate', "
                   "'telemetry_cqrs.total_rate')") == 2;
    }

    void set_rates(const std::string& rate) {
        set("device_rate", rate);
        set("total_rate", rate);
    }

    // Sessions that begin later have the new value.
    void set(const std::string& name, const std::string& value) {
        Connection connection = connect();
        changed_.insert(name);
        connection.run("ALTER SYSTEM SET telemetry_cqrs." + name + " = '" + value + "'");
        connection.run("SELECT pg_reload_conf()");
        const auto deadline = Clock::now() + std::chrono::seconds(30);
        while (connect().run_text("SHOW telemetry_cqrs." + name) != value) {
            if (Clock::now() > deadline) throw std::runtime_error("telemetry_cqrs." + name + " is not in force within 30 s");
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

private:
    Connection connect() const { return Connection(server_ + " dbname=postgres"); }
    std::string server_;
    std::set<std::string> changed_;
};

void wait_for_worker(const std::string& conninfo, bool is_wanted) {
    Connection connection(conninfo);
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while ((connection.run_text("SELECT state FROM telemetry.worker_status()") == "running") != is_wanted) {
        if (Clock::now() > deadline) throw std::runtime_error("the projector's worker did not start or end within 60 s");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

// Returns a table for batches, one for a client with single calls, and one for eight.
std::vector<Table> compare(const Setup& setup, std::vector<Side>& sides) {
    std::vector<Table> tables;
    for (const int clients : {0, 1, 8}) {
        const bool is_batch = clients == 0;
        for (Side& side : sides) {
            side.method = is_batch ? InsertMethod::kArrays : InsertMethod::kCall;
            side.clients = is_batch ? 1 : clients;
        }
        Work work;
        work.name = "quotas";
        work.title = is_batch       ? "1,000 readings a transaction, 1 client"
                     : clients == 1 ? "one reading a call and a commit, 1 client"
                                    : "one reading a call and a commit, 8 clients";
        work.per_round = is_batch ? setup.per_run() : (setup.quick ? 1000 : 20'000) * (clients == 1 ? 1 : 4);
        work.warm_up = work.per_round / 5;
        work.readings = [](std::int64_t first, std::int64_t count) { return Fleet(Keys::kSequence).readings(first, count); };
        tables.push_back(compare_sides(setup, work, sides));
    }
    return tables;
}

}  // namespace

std::vector<Table> quotas(const Setup& setup) {
    ServerSettings settings(setup.servers.running);
    if (!settings.has_limits()) {
        Table table("quotas", "limits that never refuse", "readings/s", true);
        table.note("not available: this library has no settings telemetry_cqrs.device_rate and total_rate");
        return {std::move(table)};
    }
    const std::string without = "no limits", with = "high limits";
    std::vector<Side> sides;
    sides.push_back(make_side(setup.servers, "quotas_off", without, Target::kProjectorRunning, InsertMethod::kArrays, without));
    sides.back().before_round = [&settings] { settings.set_rates(kNoLimit); };
    sides.push_back(make_side(setup.servers, "quotas_on", with, Target::kProjectorRunning, InsertMethod::kArrays, without));
    sides.back().before_round = [&settings] { settings.set_rates(kHighLimit); };
    prefill_sides("quotas", sides, setup.stored_before());

    std::vector<Table> tables = compare(setup, sides);
    settings.set("start_worker", "off");
    for (Side& side : sides) {
        wait_for_worker(side.conninfo, false);
        side.target = Target::kProjectorStopped;
    }
    for (Table& table : compare(setup, sides)) tables.push_back(std::move(table));
    expect_same_contents("quotas", sides);
    settings.set("start_worker", "on");
    for (const Side& side : sides) wait_for_worker(side.conninfo, true);
    drop_sides(sides);
    return tables;
}

}  // namespace bench
