#include "database.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

namespace bench {

using client::Connection;
using Clock = std::chrono::steady_clock;

std::string make_database(const std::string& server, const std::string& name) {
    Connection connection(server + " dbname=postgres");
    connection.run("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
    connection.run("CREATE DATABASE " + name);
    return server + " dbname=" + name;
}

void install_extension(const std::string& conninfo, ProjectorState projector) {
    Connection connection(conninfo);
    connection.run("CREATE EXTENSION telemetry_cqrs");
    if (projector == ProjectorState::kStopped) return;
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    while (connection.run_text("SELECT state FROM telemetry.worker_status()") != "running") {
        if (Clock::now() > deadline) throw std::runtime_error("the projector's worker did not start within 30 s");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

namespace {

void make_table(const std::string& conninfo, const std::string& further_column) {
    Connection connection(conninfo);
    connection.run(
        "CREATE TABLE plain (device_id text COLLATE \"C\" NOT NULL, measured_at timestamptz NOT NULL, temperature float8, "
        "humidity float8, "
        "idempotency_key text COLLATE \"C\" NOT NULL UNIQUE, " +
        further_column + "region text COLLATE \"C\")");
}

}  // namespace

void make_plain_table(const std::string& conninfo) {
    make_table(conninfo, "");
}

void make_plain_table_with_metrics(const std::string& conninfo) {
    make_table(conninfo, "metrics jsonb, ");
}

void drop_database(const std::string& conninfo) {
    const std::string before_name = " dbname=";
    const std::size_t at = conninfo.rfind(before_name);
    Connection connection(conninfo.substr(0, at) + " dbname=postgres");
    connection.run("DROP DATABASE " + conninfo.substr(at + before_name.size()) + " WITH (FORCE)");
}

double wait_applied(Connection& connection, std::int64_t readings) {
    const auto begin = Clock::now();
    // region_stats has few rows, so asking often disturbs little. The function sums the many rows of device_stats only when
    // region_stats is complete.
    for (const char* view : {"region_stats", "device_stats"}) {
        const std::string sql = std::string("SELECT coalesce(sum(sample_count), 0) FROM telemetry.") + view;
        for (;;) {
            const std::int64_t applied = connection.run_integer(sql);
            if (applied == readings) break;
            if (applied > readings) throw std::runtime_error(std::string(view) + " counts readings that were never sent");
            if (Clock::now() - begin > std::chrono::minutes(20))
                throw std::runtime_error(std::string(view) + " is not complete after 20 minutes");
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }
    while (connection.run_integer("SELECT coalesce(max(lag_events), 0) FROM telemetry.projection_status") > 0) {
        if (Clock::now() - begin > std::chrono::minutes(20))
            throw std::runtime_error("the rollups are not complete after 20 minutes");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

void settle(const std::string& conninfo) {
    Connection connection(conninfo);
    connection.run("VACUUM ANALYZE");
    connection.run("CHECKPOINT");
}

}  // namespace bench
