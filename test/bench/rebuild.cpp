// A client stores batches of 1,000 while the worker rebuilds a projection, beside the same without a rebuild.
#include "benchmarks.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr int kPerTransaction = 1000;

bool is_rebuilt(Connection& connection) {
    return connection.run_text("SELECT NOT EXISTS (SELECT FROM telemetry.cursor WHERE purpose = 'rebuild')") == "t";
}

}  // namespace

std::vector<Table> rebuild(const Setup& setup) {
    const std::string conninfo = make_database(setup.servers.running, "rebuild");
    install_extension(conninfo, ProjectorState::kRunning);
    Fleet fleet(Keys::kSequence);
    std::int64_t next = setup.stored_before();
    prefill(conninfo, InsertMethod::kArrays, fleet, 0, next);
    Connection watcher(conninfo);
    wait_applied(watcher, next);
    settle(conninfo);

    const std::string projections[] = {"device", "device_1m", "device_1h"};
    const std::string alone = "ingest alone, projector running";
    Table ingest("rebuild",
                 "1,000 readings a transaction, 1 client, projector running, " + std::to_string(next) + " events before",
                 "readings/s", true);
    Table time("rebuild", "the whole rebuild of one projection, ingest beside it for a part of the time", "s", false);
    ingest.line(alone, alone);
    for (const std::string& projection : projections) {
        ingest.line("while " + projection + " is rebuilt", alone);
        time.line(projection, "");
    }

    const auto work = [&] {
        return prepare(InsertMethod::kArrays, Format::kBinary, fleet.readings(next, setup.per_run()), kPerTransaction);
    };
    const auto run = [&](const std::vector<Transaction>& transactions, const std::function<bool()>& is_over) {
        const Stored stored = store(conninfo, InsertMethod::kArrays, Format::kBinary, transactions, 1, is_over);
        next += stored.accepted;
        return static_cast<double>(stored.accepted) / stored.seconds;
    };
    for (int round = 0; round < setup.rounds; ++round) {
        say("rebuild: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
        ingest.add(alone, run(work(), [] { return false; }));
        wait_applied(watcher, next);
        for (const std::string& projection : projections) {
            const std::vector<Transaction> transactions = work();
            watcher.run("SELECT telemetry.rebuild_projection('" + projection + "')");
            const auto begin = Clock::now();
            std::atomic<bool> is_done = false;
            double seconds = 0;
            std::thread waiting([&] {
                try {
                    Connection connection(conninfo);
                    while (!is_rebuilt(connection)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
                } catch (const std::exception& error) {
                    say(std::string("rebuild: ") + error.what());
                }
                seconds = std::chrono::duration<double>(Clock::now() - begin).count();
                is_done = true;
            });
            double rate = 0;
            try {
                rate = run(transactions, [&] { return is_done.load(); });
            } catch (...) {
                waiting.join();
                throw;
            }
            waiting.join();
            ingest.add("while " + projection + " is rebuilt", rate);
            time.add(projection, seconds);
            time.add_side(projection, "events/s", static_cast<double>(next) / seconds);
            wait_applied(watcher, next);
        }
    }
    if (watcher.run_integer("SELECT sum(sample_count) FROM telemetry.device_stats_1m WHERE metric = 'humidity'") != next)
        throw std::runtime_error("rebuild: device_stats_1m does not count each reading once");
    return {std::move(ingest), std::move(time)};
}

}  // namespace bench
