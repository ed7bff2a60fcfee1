// project_once() applies a batch of which a part is late to all read models, beside a batch of fresh readings.
#include "benchmarks.hpp"

#include <chrono>
#include <stdexcept>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kHour = 3'600'000'000;  // microseconds
constexpr int kOneAMinute = 60;                // so that the history reaches back for hours

struct Batch {
    std::int64_t readings;
    int one_late_in;        // 0: none is late
    std::int64_t at_least;  // microseconds; the late readings are spread over as much again
};

}  // namespace

std::vector<Table> late(const Setup& setup) {
    const std::string conninfo = make_database(setup.servers.stopped, "late");
    install_extension(conninfo, ProjectorState::kStopped);
    Connection connection(conninfo);
    connection.run("SET synchronous_commit = off");
    const auto apply = [&] {
        const auto begin = Clock::now();
        connection.run("CALL telemetry.project_once()");
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    Fleet fleet(Keys::kSequence, kDevices, kOneAMinute);
    std::int64_t next = setup.stored_before();
    prefill(conninfo, InsertMethod::kArrays, fleet, 0, next);
    apply();
    settle(conninfo);

    Table ten_thousand(
        "late", "10,000 events in 10 transactions into all eight projections, rows of " + std::to_string(next) + " before",
        "events/s", true);
    Table thousand("late", "1,000 events in one transaction, the same", "events/s", true);
    const auto measure = [&](Table& table, const std::string& label, const Batch& batch, bool is_shown) {
        std::vector<Reading> readings = fleet.readings(next, batch.readings);
        next += batch.readings;
        if (batch.one_late_in > 0)
            for (std::size_t i = 0; i < readings.size(); i += static_cast<std::size_t>(batch.one_late_in))
                readings[i].measured_us -= batch.at_least + static_cast<std::int64_t>(i * 7919 % 1000) * batch.at_least / 1000;
        store(conninfo, InsertMethod::kArrays, Format::kBinary, prepare(InsertMethod::kArrays, Format::kBinary, readings, 1000),
              1);
        const double seconds = apply();
        if (is_shown) table.add(label, static_cast<double>(batch.readings) / seconds);
    };
    const std::string fresh = "all are fresh", few = "3 % are two to four hours late", old = "all are 30 to 60 days late";
    for (Table* table : {&ten_thousand, &thousand}) table->line(fresh, fresh);
    ten_thousand.line(few, fresh);
    thousand.line(old, fresh);
    const int rounds = setup.quick ? 2 : 10 * setup.rounds;
    for (int round = 0; round <= rounds; ++round) {  // Round 0 warms up.
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_late = (turn + round) % 2 == 0;
            measure(ten_thousand, is_late ? few : fresh, {10'000, is_late ? 33 : 0, 2 * kHour}, round > 0);
            measure(thousand, is_late ? old : fresh, {1000, is_late ? 1 : 0, 30 * 24 * kHour}, round > 0);
        }
    }
    for (const char* view : {"device_stats", "region_stats"})
        if (connection.run_integer(std::string("SELECT sum(sample_count) FROM telemetry.") + view) != next)
            throw std::runtime_error(std::string("late: ") + view + " does not count each reading once");
    for (const char* view : {"device_stats_1m", "device_stats_1h", "device_stats_1d"})
        if (connection.run_integer(std::string("SELECT sum(sample_count) FROM telemetry.") + view +
                                   " WHERE metric = 'humidity'") != next)
            throw std::runtime_error(std::string("late: ") + view + " does not count each reading once");
    ten_thousand.note("medians of " + std::to_string(rounds) + " batches of each kind");
    return {std::move(ten_thousand), std::move(thousand)};
}

}  // namespace bench
