// 1 and 8 clients send one reading a call and a commit, by ingest_telemetry() and by one prepared INSERT .. ON CONFLICT.
#include "benchmarks.hpp"

#include <barrier>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <thread>

#include "fleet.hpp"
#include "wire.hpp"

namespace bench {
namespace {

using client::Connection;
using client::Parameter;
using Clock = std::chrono::steady_clock;

enum class Call { kIngest, kInsert };

using Row = std::vector<std::string>;  // binary parameters

std::vector<Row> encode(const std::vector<Reading>& readings) {
    std::vector<Row> rows;
    rows.reserve(readings.size());
    for (const Reading& r : readings)
        rows.push_back({device_name(r.device), client::wire::binary_timestamptz(r.measured_us),
                        client::wire::binary_float8(r.temperature), client::wire::binary_float8(r.humidity), r.key,
                        region_name(r.device)});
    return rows;
}

double seconds_for(const std::string& conninfo, Call call, const std::vector<Row>& rows, int clients) {
    std::vector<Connection> connections;
    for (int i = 0; i < clients; ++i) {
        connections.emplace_back(conninfo);
        connections.back().prepare(
            "one",
            call == Call::kIngest
                ? "SELECT status FROM telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, region => $6)"
                : "INSERT INTO plain (device_id, measured_at, temperature, humidity, idempotency_key, region) "
                  "VALUES ($1, $2::timestamptz, $3::float8, $4::float8, $5, $6) ON CONFLICT (idempotency_key) DO NOTHING");
    }
    std::vector<std::exception_ptr> failures(connections.size());
    std::barrier start(static_cast<std::ptrdiff_t>(clients + 1));
    std::vector<std::thread> threads;
    for (std::size_t c = 0; c < connections.size(); ++c) {
        threads.emplace_back([&, c] {
            start.arrive_and_wait();
            try {
                std::vector<Parameter> parameters(6);
                for (std::size_t i = c; i < rows.size(); i += connections.size()) {
                    for (std::size_t p = 0; p < parameters.size(); ++p) parameters[p] = {rows[i][p], false, true};
                    connections[c].run_prepared("one", parameters);
                }
            } catch (...) {
                failures[c] = std::current_exception();
            }
        });
    }
    start.arrive_and_wait();
    const auto begin = Clock::now();
    for (std::thread& thread : threads) thread.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    return seconds;
}

}  // namespace

std::vector<Table> single(const Setup& setup) {
    struct Side {
        std::string label;
        Call call;
        std::string conninfo;
        std::int64_t next = 0;
    };
    std::vector<Side> sides = {
        {"one prepared INSERT .. ON CONFLICT", Call::kInsert, make_database(setup.servers.stopped, "single_plain")},
        {"ours, projector stopped", Call::kIngest, make_database(setup.servers.stopped, "single_ours")},
        {"ours, projector running", Call::kIngest, make_database(setup.servers.running, "single_ours")},
    };
    make_plain_table(sides[0].conninfo);
    install_extension(sides[1].conninfo, ProjectorState::kStopped);
    install_extension(sides[2].conninfo, ProjectorState::kRunning);

    std::vector<Table> tables;
    for (const int clients : {1, 8}) {
        Table table("single",
                    "one reading a call and a commit, " + std::to_string(clients) + (clients == 1 ? " client" : " clients"),
                    "readings/s", true);
        for (const Side& side : sides) table.line(side.label, sides[0].label);
        // The cost of the projector, beside ours without it.
        Table projector("single-projector", "the same", "readings/s", true);
        for (std::size_t i = 1; i < sides.size(); ++i) projector.line(sides[i].label, sides[1].label);
        const std::int64_t count = (setup.quick ? 1000 : 20'000) * (clients == 1 ? 1 : 4);
        for (int round = -1; round < setup.rounds; ++round) {  // Round -1 registers the devices and warms up.
            for (std::size_t i = 0; i < sides.size(); ++i) {
                Side& side = sides[round % 2 == 1 ? sides.size() - 1 - i : i];
                Fleet fleet(Keys::kSequence);
                const double seconds = seconds_for(side.conninfo, side.call, encode(fleet.readings(side.next, count)), clients);
                side.next += count;
                if (round < 0) continue;
                table.add(side.label, static_cast<double>(count) / seconds);
                if (side.call == Call::kIngest) projector.add(side.label, static_cast<double>(count) / seconds);
            }
        }
        Connection observer(sides[2].conninfo);
        wait_applied(observer, sides[2].next);
        tables.push_back(std::move(table));
        tables.push_back(std::move(projector));
    }
    return tables;
}

}  // namespace bench
