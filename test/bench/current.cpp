// A client stores batches of 1,000 for a minute while all read models are kept current. Beside it a plain table has a statement
// trigger, which keeps tables of devices and regions current, over all time, by minute and by hour.
#include "benchmarks.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "sql_job.hpp"
#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr int kPerTransaction = 1000;
constexpr std::int64_t kChunk = 100'000;

// The work is prepared before the clock starts, and in parts, because a whole one would not fit into the memory as readings.
std::vector<Transaction> prepare_many(InsertMethod method, std::int64_t first, std::int64_t count) {
    Fleet fleet(Keys::kSequence);
    std::vector<Transaction> all;
    for (std::int64_t done = 0; done < count; done += kChunk)
        for (Transaction& t :
             prepare(method, Format::kBinary, fleet.readings(first + done, std::min(kChunk, count - done)), kPerTransaction))
            all.push_back(std::move(t));
    return all;
}

// Looks once a second how many events wait.
class LagWatch {
public:
    explicit LagWatch(const std::string& conninfo) : connection_(conninfo) {
        thread_ = std::jthread([this](const std::stop_token& stop) {
            try {
                while (!stop.stop_requested()) {
                    greatest_ = std::max<std::int64_t>(
                        greatest_,
                        connection_.run_integer("SELECT coalesce(max(lag_events), 0) FROM telemetry.projection_status"));
                    std::this_thread::sleep_for(std::chrono::seconds(1));
                }
            } catch (const std::exception& error) {
                say(std::string("lag: ") + error.what());
            }
        });
    }
    std::int64_t greatest() {
        thread_.request_stop();
        thread_.join();
        return greatest_;
    }

private:
    Connection connection_;
    std::int64_t greatest_ = 0;
    std::jthread thread_;
};

}  // namespace

std::vector<Table> current(const Setup& setup) {
    const double seconds = setup.quick ? 2 : 60;
    const std::string ours = make_database(setup.servers.running, "current_ours");
    install_extension(ours, ProjectorState::kRunning);
    const std::string plain = make_database(setup.servers.stopped, "current_plain");
    make_plain_table(plain);
    Connection connection(plain), watcher(ours);
    const SqlJob job(connection, "kept", over_all_time_and_buckets());
    connection.run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " +
                   job.statement("(SELECT *, now() AS received_at FROM stored) AS r") + "; RETURN NULL; END $$");
    connection.run(
        "CREATE TRIGGER keep AFTER INSERT ON plain REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION keep()");

    const std::string with_triggers = "COPY into a plain table with triggers",
                      last_commit = "ours, projector running: last commit", lag_0 = "ours, projector running: lag 0";
    Table table("current",
                "1,000 readings a transaction, 1 client, for " + std::to_string(static_cast<int>(seconds)) +
                    " s: read models by device and region, over all time, by minute, hour (and, ours, day) are kept current",
                "readings/s", true);
    for (const std::string& label : {with_triggers, last_commit, lag_0}) table.line(label, with_triggers);

    // Each device has a row before the clock starts.
    std::int64_t next_ours = kDevices, next_plain = kDevices;
    {
        Fleet fleet(Keys::kSequence);
        prefill(ours, InsertMethod::kArrays, fleet, 0, kDevices);
        prefill(plain, InsertMethod::kCopy, fleet, 0, kDevices);
        wait_applied(watcher, kDevices);
    }
    settle(ours);
    settle(plain);
    for (int round = 0; round < setup.rounds; ++round) {
        say("current: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_ours = (turn + round) % 2 == 0;
            const InsertMethod method = is_ours ? InsertMethod::kArrays : InsertMethod::kCopy;
            std::int64_t& next = is_ours ? next_ours : next_plain;
            // More than this side stores in that time.
            const auto most = static_cast<std::int64_t>(seconds * (is_ours ? 150'000 : 75'000));
            const std::vector<Transaction> work = prepare_many(method, next, most);
            const auto end = Clock::now() + std::chrono::duration<double>(seconds);
            const auto is_over = [&] { return Clock::now() > end; };
            if (is_ours) {
                LagWatch lag(ours);
                const Stored stored = store(ours, method, Format::kBinary, work, 1, is_over);
                const std::int64_t greatest_lag = lag.greatest();
                next += stored.accepted;
                const double more = wait_applied(watcher, next);
                table.add(last_commit, static_cast<double>(stored.accepted) / stored.seconds);
                table.add(lag_0, static_cast<double>(stored.accepted) / (stored.seconds + more));
                table.add_side(lag_0, "greatest lag", static_cast<double>(greatest_lag));
                table.add_side(lag_0, "seconds to lag 0", more);
            } else {
                const Stored stored = store(plain, method, Format::kBinary, work, 1, is_over);
                next += stored.accepted;
                table.add(with_triggers, static_cast<double>(stored.accepted) / stored.seconds);
                const std::int64_t kept =
                    connection.run_integer("SELECT sum(sample_count) FROM " + job.table({"device_id", nullptr}));
                // The readings of before have come in by COPY as well.
                if (kept != next)
                    throw std::runtime_error("current: the triggers have counted " + std::to_string(kept) + " of " +
                                             std::to_string(next));
            }
        }
    }
    return {std::move(table)};
}

}  // namespace bench
