// The benchmark measures the time from commit to a client of GET /events. A client stores 1,000 readings a second by SQL, one a
// call. The other side is a connection that listens on telemetry_ingested. Both receive the same events at the same time.
//
// Every event counts. The clock of a reading starts when the writer has the answer to its commit. An event that comes before
// counts as 0 ms.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_map>

#include <poll.h>

#include "benchmarks.hpp"
#include "http/event_stream.hpp"
#include "http/http_service.hpp"
#include "store.hpp"
#include "wire.hpp"

namespace bench {
namespace {

using client::Connection;
using client::Parameter;
using Clock = std::chrono::steady_clock;
using Times = std::unordered_map<std::int64_t, Clock::time_point>;  // by the id of the event

constexpr int kPerSecond = 1000;
constexpr int kPatience = 100;  // milliseconds, after which a receiver looks whether it shall stop

// Notes in a thread of its own when events arrive. `receive` waits for some and returns their ids, or none after kPatience.
class Receiver {
public:
    template <typename Receive>
    explicit Receiver(Receive receive)
        : thread_([this, receive]() mutable {
              try {
                  while (!stop_) {
                      const std::vector<std::int64_t> ids = receive();
                      const Clock::time_point now = Clock::now();
                      for (const std::int64_t id : ids) times_.emplace(id, now);
                      count_ = times_.size();
                  }
              } catch (...) {
                  failure_ = std::current_exception();
                  has_failed_ = true;
              }
          }) {}
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    ~Receiver() { join(); }

    std::size_t count() const { return count_; }
    bool has_failed() const { return has_failed_; }

    Times finish() {
        join();
        if (failure_) std::rethrow_exception(failure_);
        return std::move(times_);
    }

private:
    void join() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

    Times times_;
    std::exception_ptr failure_;
    std::atomic<std::size_t> count_ = 0;
    std::atomic<bool> stop_ = false, has_failed_ = false;
    std::thread thread_;  // the last member, because it uses the others
};

// A listener that gets the events in the notification, or asks for those of the batch.
class Listener {
public:
    explicit Listener(const std::string& conninfo) : connection_(conninfo) {
        connection_.prepare("read", "SELECT e.id, e.* FROM telemetry.read_events($1) AS e");
        connection_.run("LISTEN telemetry_ingested");
    }

    std::vector<std::int64_t> wait() {
        pollfd waited{connection_.socket(), POLLIN, 0};
        std::vector<std::int64_t> ids;
        if (unseen_.empty() && poll(&waited, 1, kPatience) <= 0) return ids;
        // One at a time, so that an event that is here does not wait for a query.
        for (client::Notification& each : connection_.notifications()) unseen_.push_back(std::move(each.payload));
        if (unseen_.empty()) return ids;
        const std::string payload = std::move(unseen_.front());
        unseen_.erase(unseen_.begin());
        constexpr std::string_view kId = "{\"id\":", kBatch = "\"batch\":";
        for (std::size_t at = payload.find(kId); at != std::string::npos; at = payload.find(kId, at + 1))
            ids.push_back(std::stoll(payload.substr(at + kId.size(), 20)));
        if (!ids.empty()) return ids;
        const std::string batch = std::to_string(std::stoll(payload.substr(payload.find(kBatch) + kBatch.size(), 20)));
        const client::Result events = connection_.run_prepared("read", {{batch}});
        for (int row = 0; row < events.rows(); ++row) ids.push_back(events.integer(row, 0));
        ++asked_;
        return ids;
    }

    std::size_t asked() const { return asked_; }  // notifications that named a batch only

private:
    Connection connection_;
    std::vector<std::string> unseen_;
    std::size_t asked_ = 0;
};

// Stores the readings at the pace of the benchmark. Returns when each event was committed.
Times store_readings(const std::string& conninfo, const std::vector<Reading>& readings) {
    using namespace client::wire;
    std::vector<std::vector<std::string>> calls;
    calls.reserve(readings.size());
    for (const Reading& r : readings)
        calls.push_back({device_name(r.device), binary_timestamptz(r.measured_us), binary_float8(r.temperature),
                         binary_float8(r.humidity), r.key, region_name(r.device)});
    Connection writer(conninfo);
    writer.prepare("store",
                   "SELECT event_id FROM telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, "
                   "region => $6)");
    Times committed;
    std::vector<Parameter> parameters(6);
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < calls.size(); ++i) {
        std::this_thread::sleep_until(begin + std::chrono::microseconds(1'000'000 / kPerSecond) * static_cast<std::int64_t>(i));
        for (std::size_t p = 0; p < parameters.size(); ++p) parameters[p] = {calls[i][p], false, true};
        const client::Result receipt = writer.run_prepared("store", parameters);
        committed.emplace(receipt.integer(0, 0), Clock::now());
    }
    return committed;
}

std::vector<double> milliseconds_from(const Times& committed, const Times& arrived) {
    std::vector<double> milliseconds;
    for (const auto& [id, time] : committed) {
        const auto found = arrived.find(id);
        if (found == arrived.end()) throw std::runtime_error("http_events: event " + std::to_string(id) + " did not come");
        milliseconds.push_back(std::max(0.0, std::chrono::duration<double, std::milli>(found->second - time).count()));
    }
    return milliseconds;
}

}  // namespace

std::vector<Table> http_events(const Setup& setup) {
    const std::string conninfo = make_database(setup.servers.running, "http_events");
    install_extension(conninfo, ProjectorState::kRunning);
    Fleet fleet(Keys::kSequence);
    prefill(conninfo, InsertMethod::kArrays, fleet, 0, kDevices);
    Connection observer(conninfo);
    wait_applied(observer, kDevices);
    settle(conninfo);

    const std::string notify = "LISTEN telemetry_ingested", ours = "GET /events";
    const std::string title = "1,000 readings/s by SQL, one a call";
    Table p50("http_events", title + ": commit answered to event at the client, median", "p50 ms", false);
    Table p99("http_events", title + ": the same, 99th percentile", "p99 ms", false);
    for (Table* table : {&p50, &p99})
        for (const std::string& label : {notify, ours}) table->line(label, notify);
    {
        HttpService service(setup, conninfo, 1);
        const std::string token = service.token_of_reader();
        std::int64_t next = kDevices;
        for (int round = 0; round < setup.rounds; ++round) {
            say("http_events: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
            const auto count = static_cast<std::int64_t>(setup.seconds_per_run() * kPerSecond);
            const std::vector<Reading> readings = fleet.readings(next, count);
            next += count;
            Listener listener(conninfo);
            EventStream stream(setup.http_port, token);
            Receiver by_notify([&listener] { return listener.wait(); });
            Receiver by_http([&stream] { return stream.wait(kPatience); });
            const Times committed = store_readings(conninfo, readings);
            const auto deadline = Clock::now() + std::chrono::seconds(30);
            for (const Receiver* receiver : {&by_notify, &by_http})
                while (receiver->count() < committed.size() && !receiver->has_failed() && Clock::now() < deadline)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
            for (Receiver* receiver : {&by_notify, &by_http}) {
                const std::vector<double> milliseconds = milliseconds_from(committed, receiver->finish());
                const std::string& label = receiver == &by_http ? ours : notify;
                p50.add(label, percentile(milliseconds, 0.50));
                p99.add(label, percentile(milliseconds, 0.99));
                p99.add_side(label, "max ms", percentile(milliseconds, 1.0));
            }
            p50.add_side(notify, "read_events/s", static_cast<double>(listener.asked()) / setup.seconds_per_run());
            wait_applied(observer, next);
        }
    }
    drop_database(conninfo);
    return {p50, p99};
}

}  // namespace bench
