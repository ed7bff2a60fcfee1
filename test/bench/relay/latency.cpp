// The benchmark measures the time from commit to a message at a subscriber of NATS. A client sends 1,000 readings a second, one
// a call, or 20,000, 40 a call. The other side is the usual way: the writer stores a reading and a row of an outbox in one
// transaction, and a loop reads the outbox every 10 ms, publishes, and deletes the rows after the acknowledgements.
//
// Every message counts. The clock of a reading starts when the writer has the answer to its commit. A message that comes before
// counts as 0 ms.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "benchmarks.hpp"
#include "relay/nats_client.hpp"
#include "relay/relayed_database.hpp"
#include "store.hpp"
#include "wire.hpp"

namespace bench {
namespace {

using client::Connection;
using client::Parameter;
using Clock = std::chrono::steady_clock;

struct Load {
    int calls_per_second;
    int readings_per_call;
};

struct Writer {
    std::string conninfo;
    std::string store_one;   // $1 to $6 are those of a reading
    std::string store_many;  // $1 to $6 are arrays of them
};

// Notes when the message of each reading arrives.
class Arrivals {
public:
    explicit Arrivals(const std::vector<Reading>& readings) : times_(readings.size()) {
        for (const Reading& reading : readings) numbers_.emplace(reading.key, numbers_.size());
    }

    void note(std::string_view payload) {
        const Clock::time_point now = Clock::now();
        constexpr std::string_view kMember = "\"idempotency_key\"";
        const std::size_t member = payload.find(kMember);
        if (member == std::string_view::npos) return;
        const std::size_t begin = payload.find('"', member + kMember.size()) + 1;
        const auto found = numbers_.find(std::string(payload.substr(begin, payload.find('"', begin) - begin)));
        if (found == numbers_.end() || times_[found->second] != Clock::time_point()) return;
        times_[found->second] = now;
        ++count_;
    }

    bool are_complete() const { return count_ == times_.size(); }
    Clock::time_point time(std::size_t number) const { return times_[number]; }

private:
    std::unordered_map<std::string, std::size_t> numbers_;
    std::vector<Clock::time_point> times_;
    std::atomic<std::size_t> count_ = 0;
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

// Stores the readings at the pace of the load. Returns the milliseconds from commit to message.
std::vector<double> measure(const Writer& side, const Load& load, const std::vector<Reading>& readings, NatsClient& nats) {
    const auto per_call = static_cast<std::size_t>(load.readings_per_call);
    std::vector<std::vector<std::string>> calls;
    for (std::size_t i = 0; i < readings.size(); i += per_call)
        calls.push_back(encode(
            {readings.begin() + static_cast<std::ptrdiff_t>(i), readings.begin() + static_cast<std::ptrdiff_t>(i + per_call)}));
    Arrivals arrivals(readings);
    nats.subscribe([&arrivals](natsMsg* message) {
        arrivals.note({natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))});
    });
    Connection writer(side.conninfo);
    writer.prepare("store", load.readings_per_call == 1 ? side.store_one : side.store_many);
    std::vector<Clock::time_point> committed;
    std::vector<Parameter> parameters(6);
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < calls.size(); ++i) {
        std::this_thread::sleep_until(begin + std::chrono::microseconds(1'000'000 / load.calls_per_second) *
                                                  static_cast<std::int64_t>(i));
        for (std::size_t p = 0; p < parameters.size(); ++p) parameters[p] = {calls[i][p], false, true};
        writer.run_prepared("store", parameters);
        committed.push_back(Clock::now());
    }
    while (!arrivals.are_complete()) {
        if (Clock::now() - committed.back() > std::chrono::seconds(30))
            throw std::runtime_error("relay_latency: a message did not come within 30 s");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    nats.unsubscribe();
    std::vector<double> milliseconds;
    for (std::size_t i = 0; i < readings.size(); ++i)
        milliseconds.push_back(
            std::max(0.0, std::chrono::duration<double, std::milli>(arrivals.time(i) - committed[i / per_call]).count()));
    return milliseconds;
}

// Publishes the rows of the outbox, in a thread.
class OutboxPoller {
public:
    OutboxPoller(const std::string& conninfo, int nats_port) : connection_(conninfo), nats_(nats_port, true) {
        connection_.run("SET synchronous_commit = off");
        // A plan that is kept would be one for an empty outbox.
        connection_.run("SET plan_cache_mode = force_custom_plan");
        connection_.prepare("read", "SELECT id, subject, payload FROM outbox ORDER BY id LIMIT 10000");
        connection_.prepare("delete", "DELETE FROM outbox WHERE id = ANY ($1::bigint[])");
        thread_ = std::thread([this] { loop(); });
    }
    ~OutboxPoller() {
        stop_ = true;
        thread_.join();
    }

private:
    void loop() {
        try {
            while (!stop_) {
                publish_some();
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
        } catch (const std::exception& error) {
            say(std::string("relay_latency: the poller of the outbox has stopped: ") + error.what());
        }
    }

    void publish_some() {
        const client::Result rows = connection_.run_prepared("read", {});
        if (rows.rows() == 0) return;
        std::string ids = "{";
        for (int row = 0; row < rows.rows(); ++row) {
            const std::string id(rows.text(row, 0));
            nats_.publish(std::string(rows.text(row, 1)).c_str(), rows.text(row, 2), ("outbox-" + id).c_str());
            ids += (row == 0 ? "" : ",") + id;
        }
        nats_.wait_for_acknowledgements();
        connection_.run_prepared("delete", {{ids + "}"}});
    }

    Connection connection_;
    NatsClient nats_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

std::string make_outbox(const Setup& setup) {
    std::string conninfo = make_database(setup.servers.running, "relay_outbox");
    make_plain_table(conninfo);
    Connection connection(conninfo);
    connection.run(
        "CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text NOT NULL, payload text NOT "
        "NULL)");
    return conninfo;
}

std::string store_plain(const std::string& rows) {
    return "WITH r AS (INSERT INTO plain (device_id, measured_at, temperature, humidity, idempotency_key, region) " + rows +
           " ON CONFLICT (idempotency_key) DO NOTHING RETURNING *) INSERT INTO outbox (subject, payload) "
           "SELECT 'telemetry.ingested.' || region || '.' || device_id, jsonb_build_object('device_id', device_id, 'region', "
           "region, 'measured_at', measured_at, 'temperature', temperature, 'humidity', humidity, 'idempotency_key', "
           "idempotency_key)::text FROM r";
}

}  // namespace

std::vector<Table> relay_latency(const Setup& setup) {
    RelayedDatabase database(setup, "relay_latency");
    const Writer ours{
        database.conninfo(),
        "SELECT status FROM telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, region => $6)",
        "SELECT accepted FROM telemetry.ingest_telemetry_batch($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], "
        "$5::text[], regions => $6::text[])"};
    const Writer outbox{
        make_outbox(setup), store_plain("VALUES ($1, $2::timestamptz, $3::float8, $4::float8, $5, $6)"),
        store_plain("SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::text[], $6::text[])")};
    Fleet fleet(Keys::kSequence);
    prefill(ours.conninfo, InsertMethod::kArrays, fleet, 0, kDevices);
    prefill(outbox.conninfo, InsertMethod::kCopy, fleet, 0, kDevices);
    wait_applied(database.connection(), kDevices);
    settle(ours.conninfo);
    settle(outbox.conninfo);
    NatsClient nats(setup.nats_port);
    nats.remake_stream();
    database.turn_on(Sinks::kNats);

    const std::string label_ours = "the relay", label_outbox = "outbox, read every 10 ms";
    std::vector<Table> tables;
    std::int64_t next = kDevices;
    for (const auto& [load, title] :
         {std::pair{Load{1000, 1}, "1,000 readings/s, one a call"}, std::pair{Load{500, 40}, "20,000 readings/s, 40 a call"}}) {
        Table p50("relay_latency", std::string(title) + ": commit answered to message at a subscriber, median", "p50 ms",
                  false);
        Table p99("relay_latency", std::string(title) + ": the same, 99th percentile", "p99 ms", false);
        for (Table* table : {&p50, &p99})
            for (const std::string& label : {label_outbox, label_ours}) table->line(label, label_outbox);
        for (int round = 0; round < setup.rounds; ++round) {
            say("relay_latency: " + std::string(title) + ", round " + std::to_string(round + 1) + " of " +
                std::to_string(setup.rounds));
            const auto calls = static_cast<std::int64_t>(setup.seconds_per_run() * load.calls_per_second);
            const std::vector<Reading> readings = fleet.readings(next, calls * load.readings_per_call);
            next += static_cast<std::int64_t>(readings.size());
            for (int turn = 0; turn < 2; ++turn) {
                const bool is_ours = (turn + round) % 2 == 0;
                const std::string& label = is_ours ? label_ours : label_outbox;
                std::optional<OutboxPoller> poller;
                if (!is_ours) poller.emplace(outbox.conninfo, setup.nats_port);
                nats.remake_stream();
                const double cpu_before = database.relay_cpu_seconds();
                const std::vector<double> milliseconds = measure(is_ours ? ours : outbox, load, readings, nats);
                p50.add(label, percentile(milliseconds, 0.50));
                p99.add(label, percentile(milliseconds, 0.99));
                p99.add_side(label, "max ms", percentile(milliseconds, 1.0));
                if (is_ours)
                    p50.add_side(label, "CPU s/100k",
                                 (database.relay_cpu_seconds() - cpu_before) * 100'000 / static_cast<double>(readings.size()));
            }
        }
        tables.push_back(std::move(p50));
        tables.push_back(std::move(p99));
    }
    return tables;
}

}  // namespace bench
