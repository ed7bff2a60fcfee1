// The benchmark measures the time from commit to visible. A client sends 1,000 readings a second, one a call, or 20,000, 40 a
// call. When the server has answered a commit, another connection asks for a device's count until the reading is in it. The
// other side is an outbox that a loop empties every 10 ms with plain SQL.
//
// The reader asks after one call in twenty and rests otherwise, so it takes a few per cent of one core. It chooses the call at
// random, so that it keeps no rhythm with a loop. Its resolution is one query, 0.1 ms.
#include "benchmarks.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

#include "fleet.hpp"
#include "store.hpp"
#include "wire.hpp"

namespace bench {
namespace {

using client::Connection;
using client::Parameter;
using Clock = std::chrono::steady_clock;
using std::chrono::duration;
using std::chrono::microseconds;

constexpr int kProbeOneIn = 20;

struct Load {
    int calls_per_second;
    int readings_per_call;
};

struct Side {
    std::string conninfo;
    std::string store_one;   // $1 to $6 are those of a reading
    std::string store_many;  // $1 to $6 are arrays of them
    std::string read;        // $1 is the device; returns the count of its readings
};

struct Probe {
    std::string device;
    std::int64_t expected;
    Clock::time_point committed;
};

struct Latencies {
    std::vector<double> visible_ms;
    std::vector<double> call_ms;
    double per_second = 0;
};

// The reader takes the newest probe when it is free.
class Reader {
public:
    explicit Reader(const Side& side) : connection_(side.conninfo) {
        connection_.prepare("read", side.read);
        thread_ = std::thread([this] { loop(); });
    }
    ~Reader() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

    void ask(Probe probe) {
        {
            const std::lock_guard lock(mutex_);
            if (probe_) return;  // The reader is still busy with the one before.
            probe_ = std::move(probe);
        }
        wake_.notify_one();
    }

    std::vector<double> finish() {
        {
            std::unique_lock lock(mutex_);
            idle_.wait(lock, [this] { return !probe_ || failure_; });
        }
        if (failure_) std::rethrow_exception(failure_);
        return visible_ms_;
    }

private:
    void loop() {
        for (;;) {
            Probe probe;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [this] { return stop_ || probe_; });
                if (stop_) return;
                probe = *probe_;
            }
            try {
                look_for(probe);
            } catch (...) {
                const std::lock_guard lock(mutex_);
                failure_ = std::current_exception();
                idle_.notify_one();
                return;
            }
            const std::lock_guard lock(mutex_);
            probe_.reset();
            idle_.notify_one();
        }
    }

    void look_for(const Probe& probe) {
        for (;;) {
            const client::Result result = connection_.run_prepared("read", {{probe.device}});
            const auto now = Clock::now();
            if (result.rows() == 1 && result.integer(0, 0) >= probe.expected) {
                visible_ms_.push_back(duration<double, std::milli>(now - probe.committed).count());
                return;
            }
            if (now - probe.committed > std::chrono::seconds(30))
                throw std::runtime_error("freshness: a reading of " + probe.device + " is not visible after 30 s");
        }
    }

    Connection connection_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::optional<Probe> probe_;
    std::exception_ptr failure_;
    bool stop_ = false;
    std::vector<double> visible_ms_;
};

// Returns the six parameters of a call.
std::vector<std::string> encode(const std::vector<Reading>& readings) {
    if (readings.size() > 1)
        return prepare(InsertMethod::kArrays, Format::kBinary, readings, static_cast<int>(readings.size())).at(0).parameters;
    const Reading& r = readings.at(0);
    return {device_name(r.device),
            client::wire::binary_timestamptz(r.measured_us),
            client::wire::binary_float8(r.temperature),
            client::wire::binary_float8(r.humidity),
            r.key,
            region_name(r.device)};
}

// first is the number of the first reading; each device has had first / kDevices readings before.
Latencies measure(const Side& side, const Load& load, std::int64_t first, double seconds) {
    Fleet fleet(Keys::kSequence);
    const auto calls = static_cast<std::int64_t>(seconds * load.calls_per_second);
    struct Call {
        std::vector<std::string> parameters;
        std::string last_device;
        std::int64_t expected;
    };
    std::vector<Call> prepared;
    for (std::int64_t i = 0; i < calls; ++i) {
        const std::int64_t number = first + i * load.readings_per_call;
        const std::vector<Reading> readings = fleet.readings(number, load.readings_per_call);
        prepared.push_back(
            {encode(readings), device_name(readings.back().device), (number + load.readings_per_call - 1) / kDevices + 1});
    }

    Latencies result;
    Connection writer(side.conninfo);
    writer.prepare("store", load.readings_per_call == 1 ? side.store_one : side.store_many);
    Reader reader(side);
    std::mt19937 random(static_cast<unsigned>(first));
    std::vector<Parameter> parameters(6);
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < prepared.size(); ++i) {
        const Call& call = prepared[i];
        std::this_thread::sleep_until(begin + microseconds(1'000'000 / load.calls_per_second) * static_cast<std::int64_t>(i));
        for (std::size_t p = 0; p < parameters.size(); ++p) parameters[p] = {call.parameters[p], false, true};
        const auto sent = Clock::now();
        writer.run_prepared("store", parameters);
        const auto committed = Clock::now();
        result.call_ms.push_back(duration<double, std::milli>(committed - sent).count());
        if (random() % kProbeOneIn == 0) reader.ask({call.last_device, call.expected, committed});
    }
    result.per_second =
        static_cast<double>(prepared.size()) * load.readings_per_call / duration<double>(Clock::now() - begin).count();
    result.visible_ms = reader.finish();
    return result;
}

// On the other side one statement writes reading and outbox. A loop takes from the outbox every 10 ms and applies.
class OutboxLoop {
public:
    explicit OutboxLoop(const std::string& conninfo) : connection_(conninfo) {
        connection_.run("SET synchronous_commit = off");
        // A plan that is kept would be one for an empty outbox, and could take minutes for a full one.
        connection_.run("SET plan_cache_mode = force_custom_plan");
        connection_.prepare("apply", R"(
            WITH taken AS (
                DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)
                RETURNING device_id, region, measured_at, temperature, humidity),
            delta AS MATERIALIZED (
                SELECT device_id, region, count(*) AS n, max(measured_at) AS last_seen,
                       sum(temperature) AS t, min(temperature) AS t_min, max(temperature) AS t_max,
                       sum(humidity) AS h, min(humidity) AS h_min, max(humidity) AS h_max
                FROM taken GROUP BY device_id, region),
            devices AS (
                INSERT INTO device_now AS s SELECT device_id, n, last_seen, t, t_min, t_max, h, h_min, h_max FROM delta
                ON CONFLICT (device_id) DO UPDATE SET n = s.n + excluded.n, last_seen = greatest(s.last_seen, excluded.last_seen),
                    t = s.t + excluded.t, t_min = least(s.t_min, excluded.t_min), t_max = greatest(s.t_max, excluded.t_max),
                    h = s.h + excluded.h, h_min = least(s.h_min, excluded.h_min), h_max = greatest(s.h_max, excluded.h_max))
            INSERT INTO region_now AS s
            SELECT region, sum(n), max(last_seen), sum(t), min(t_min), max(t_max), sum(h), min(h_min), max(h_max) FROM delta GROUP BY region
            ON CONFLICT (region) DO UPDATE SET n = s.n + excluded.n, last_seen = greatest(s.last_seen, excluded.last_seen),
                t = s.t + excluded.t, t_min = least(s.t_min, excluded.t_min), t_max = greatest(s.t_max, excluded.t_max),
                h = s.h + excluded.h, h_min = least(s.h_min, excluded.h_min), h_max = greatest(s.h_max, excluded.h_max))");
        thread_ = std::thread([this] {
            try {
                while (!stop_) {
                    connection_.run_prepared("apply", {});
                    std::this_thread::sleep_for(std::chrono::milliseconds(10));
                }
                connection_.run_prepared("apply", {});
            } catch (const std::exception& error) {
                say(std::string("outbox loop: ") + error.what());
            }
        });
    }
    ~OutboxLoop() {
        stop_ = true;
        thread_.join();
    }

private:
    Connection connection_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

void make_outbox(const std::string& conninfo) {
    make_plain_table(conninfo);
    Connection connection(conninfo);
    connection.run(
        "CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device_id text COLLATE \"C\" NOT NULL, "
        "region text COLLATE \"C\", measured_at timestamptz, temperature float8, humidity float8)");
    for (const char* table : {"device_now (device_id", "region_now (region"})
        connection.run(
            std::string("CREATE TABLE ") + table +
            " text COLLATE \"C\" PRIMARY KEY, n bigint, last_seen timestamptz, t float8, t_min float8, t_max float8, h float8, "
            "h_min float8, h_max float8) WITH (fillfactor = 50)");
}

}  // namespace

std::vector<Table> freshness(const Setup& setup) {
    const auto store_plain = [](const std::string& rows) {
        return "WITH r AS (INSERT INTO plain (device_id, measured_at, temperature, humidity, idempotency_key, region) " + rows +
               " ON CONFLICT (idempotency_key) DO NOTHING RETURNING *) "
               "INSERT INTO outbox (device_id, region, measured_at, temperature, humidity) "
               "SELECT device_id, region, measured_at, temperature, humidity FROM r";
    };
    Side ours{
        make_database(setup.servers.running, "freshness_ours"),
        "SELECT status FROM telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, region => $6)",
        "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], "
        "$5::text[], regions => $6::text[])",
        "SELECT sample_count FROM telemetry.device_stats WHERE device_id = $1"};
    Side outbox{
        make_database(setup.servers.running, "freshness_outbox"),
        store_plain("VALUES ($1, $2::timestamptz, $3::float8, $4::float8, $5, $6)"),
        store_plain("SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::text[], $6::text[])"),
        "SELECT n FROM device_now WHERE device_id = $1"};
    install_extension(ours.conninfo, ProjectorState::kRunning);
    make_outbox(outbox.conninfo);
    // Every device has a row before the clock starts, as it has in daily life.
    Fleet fleet(Keys::kSequence);
    prefill(ours.conninfo, InsertMethod::kArrays, fleet, 0, kDevices);
    prefill(outbox.conninfo, InsertMethod::kCopy, fleet, 0, kDevices);
    {
        Connection connection(outbox.conninfo);
        connection.run(
            "INSERT INTO device_now SELECT device_id, 1, measured_at, temperature, temperature, temperature, humidity, "
            "humidity, humidity FROM plain");
        Connection watcher(ours.conninfo);
        wait_applied(watcher, kDevices);
    }
    settle(ours.conninfo);
    settle(outbox.conninfo);

    const std::string label_ours = "ours", label_outbox = "outbox, emptied every 10 ms";
    std::vector<Table> tables;
    std::int64_t next = kDevices;
    for (const auto& [load, title] :
         {std::pair{Load{1000, 1}, "1,000 readings/s, one a call"}, std::pair{Load{500, 40}, "20,000 readings/s, 40 a call"}}) {
        Table p50("freshness", std::string(title) + ": commit answered to visible in device_stats, median", "p50 ms", false);
        Table p99("freshness", std::string(title) + ": the same, 99th percentile", "p99 ms", false);
        for (Table* table : {&p50, &p99})
            for (const std::string& label : {label_outbox, label_ours}) table->line(label, label_outbox);

        for (int round = 0; round < setup.rounds; ++round) {
            say("freshness: " + std::string(title) + ", round " + std::to_string(round + 1) + " of " +
                std::to_string(setup.rounds));
            std::int64_t sent = 0;
            for (int turn = 0; turn < 2; ++turn) {
                const bool is_ours = (turn + round) % 2 == 0;
                const std::string& label = is_ours ? label_ours : label_outbox;
                std::optional<OutboxLoop> loop;
                if (!is_ours) loop.emplace(outbox.conninfo);
                const Latencies latencies = measure(is_ours ? ours : outbox, load, next, setup.seconds_per_run());
                sent = static_cast<std::int64_t>(latencies.call_ms.size()) * load.readings_per_call;
                p50.add(label, percentile(latencies.visible_ms, 0.50));
                p99.add(label, percentile(latencies.visible_ms, 0.99));
                p99.add_side(label, "max ms", percentile(latencies.visible_ms, 1.0));
                p50.add_side(label, "probes", static_cast<double>(latencies.visible_ms.size()));
                p50.add_side(label, "readings/s", latencies.per_second);
                p50.add_side(label, "call p50 ms", percentile(latencies.call_ms, 0.50));
                p99.add_side(label, "call p99 ms", percentile(latencies.call_ms, 0.99));
            }
            next += sent;
        }
        tables.push_back(std::move(p50));
        tables.push_back(std::move(p99));
    }
    return tables;
}

}  // namespace bench
