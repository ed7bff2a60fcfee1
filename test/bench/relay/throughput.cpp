// Three benchmarks of the relay's speed: events that wait to NATS, statistics that wait to Redis, and what the relay takes from
// a client that stores. The other side of the first two is a client that has the same messages in memory.
#include <chrono>
#include <stdexcept>
#include <thread>

#include "benchmarks.hpp"
#include "relay/nats_client.hpp"
#include "relay/redis_client.hpp"
#include "relay/relayed_database.hpp"
#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr int kPerTransaction = 1000;
constexpr const char* kCpu = "CPU s/100k";

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <typename Condition>
void wait_until(const char* what, const Condition& is_true) {
    const auto begin = Clock::now();
    while (!is_true()) {
        if (seconds_since(begin) > 600) throw std::runtime_error(std::string("not within ten minutes: ") + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void store_readings(RelayedDatabase& database, Fleet& fleet, std::int64_t count) {
    prefill(database.conninfo(), InsertMethod::kArrays, fleet, 0, count);
    wait_applied(database.connection(), count);
    settle(database.conninfo());
}

// A figure, and what it took in processor time of the sender.
struct Sent {
    double seconds = 0;
    double cpu_seconds = 0;
};

void add(Table& table, const std::string& label, const Sent& sent, std::int64_t count) {
    table.add(label, static_cast<double>(count) / sent.seconds);
    table.add_side(label, kCpu, sent.cpu_seconds * 100'000 / static_cast<double>(count));
}

// The relay begins at the first event of the log. The stream is new, so that JetStream has none of them.
Sent relay_to_nats(RelayedDatabase& database, NatsClient& nats, std::int64_t count) {
    Connection& connection = database.connection();
    connection.run("SELECT telemetry.pause_relay('nats')");
    nats.remake_stream();
    connection.run("SELECT telemetry.restart_subscription('relay.nats', '-infinity')");
    const double cpu_before = database.relay_cpu_seconds();
    const auto begin = Clock::now();
    connection.run("SELECT telemetry.resume_relay('nats')");
    wait_until("all events in the stream", [&] { return nats.stream_state().messages >= count; });
    return {seconds_since(begin), database.relay_cpu_seconds() - cpu_before};
}

Sent publish_to_nats(NatsClient& nats, const std::vector<NatsMessage>& messages) {
    nats.remake_stream();
    const double cpu_before = own_cpu_seconds();
    const auto begin = Clock::now();
    for (const NatsMessage& message : messages) nats.publish(message.subject.c_str(), message.payload, message.id.c_str());
    nats.wait_for_acknowledgements();
    return {seconds_since(begin), own_cpu_seconds() - cpu_before};
}

// Lets the relay send everything once, and keeps it.
std::vector<NatsMessage> messages_of_relay(RelayedDatabase& database, NatsClient& nats, std::int64_t count) {
    std::vector<NatsMessage> messages;
    messages.reserve(static_cast<std::size_t>(count));
    nats.subscribe([&messages](natsMsg* message) {
        const char* id = nullptr;
        if (natsMsgHeader_Get(message, "Nats-Msg-Id", &id) != NATS_OK) return;
        messages.push_back({natsMsg_GetSubject(message),
                            id,
                            {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))}});
    });
    relay_to_nats(database, nats, count);
    database.wait_until_sent();
    nats.unsubscribe();
    if (static_cast<std::int64_t>(messages.size()) != count)
        throw std::runtime_error("a subscriber got " + std::to_string(messages.size()) + " messages instead of " +
                                 std::to_string(count));
    return messages;
}

}  // namespace

std::vector<Table> relay_nats(const Setup& setup) {
    const std::int64_t count = setup.per_run();
    RelayedDatabase database(setup, "relay_nats");
    Fleet fleet(Keys::kSequence);
    store_readings(database, fleet, count);
    NatsClient nats(setup.nats_port);
    nats.remake_stream();
    database.turn_on(Sinks::kNats);
    const std::vector<NatsMessage> messages = messages_of_relay(database, nats, count);

    const std::string client = "a client with the messages in memory, js_PublishAsync", ours = "the relay, from the log";
    Table table("relay_nats", std::to_string(count) + " events that wait, to JetStream, acknowledged", "events/s", true);
    table.line(client, client);
    table.line(ours, client);
    for (int round = 0; round < setup.rounds; ++round) {
        say("relay_nats: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
        StreamState states[2];
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_ours = (turn + round) % 2 == 0;
            add(table, is_ours ? ours : client,
                is_ours ? relay_to_nats(database, nats, count) : publish_to_nats(nats, messages), count);
            if (is_ours) database.wait_until_sent();
            states[turn] = nats.stream_state();
        }
        if (states[0].messages != count || states[1].messages != count || states[0].bytes != states[1].bytes)
            throw std::runtime_error("relay_nats: the streams of the two sides differ");
    }
    double payload = 0;
    for (const NatsMessage& message : messages) payload += static_cast<double>(message.payload.size());
    table.add_side(ours, "payload B/event", payload / static_cast<double>(count));
    return {table};
}

std::vector<Table> relay_redis(const Setup& setup) {
    constexpr const char* kPrefix = "device:stats:";
    const int devices = setup.quick ? 5'000 : 100'000;
    RelayedDatabase database(setup, "relay_redis");
    Fleet fleet(Keys::kSequence, devices);
    store_readings(database, fleet, devices);
    Connection& connection = database.connection();
    RedisClient redis(setup.redis_port);
    redis.remove_everything();
    const std::string mark = "telemetry_cqrs:mark:" +
                             connection.run_text("SELECT system_identifier || ':' || database FROM telemetry.current_place()");
    database.turn_on(Sinks::kRedis);
    // The first start sends every device.
    wait_until("the first mark", [&] { return redis.has(mark); });
    database.wait_until_sent();
    const RedisValues values = redis.values(kPrefix);
    if (static_cast<int>(values.size()) != devices) throw std::runtime_error("relay_redis: Redis lacks devices");
    const int expiry = static_cast<int>(
        connection.run_integer("SELECT extract(epoch FROM current_setting('telemetry_cqrs.redis_expiry')::interval)::bigint"));

    const std::string client = "a client with the values in memory, pipelined SETs", ours = "the relay, refresh_cache()";
    Table table("relay_redis", "the statistics of " + std::to_string(devices) + " devices to Redis", "devices/s", true);
    table.line(client, client);
    table.line(ours, client);
    for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
        if (round >= 0) say("relay_redis: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_ours = (turn + round) % 2 != 0;
            redis.remove_everything();
            const double cpu_before = is_ours ? database.relay_cpu_seconds() : own_cpu_seconds();
            Sent sent;
            const auto begin = Clock::now();
            if (is_ours) {
                connection.run("SELECT telemetry.refresh_cache()");
                wait_until("the mark", [&] { return redis.has(mark); });
            } else {
                redis.set(values, expiry);
            }
            sent.seconds = seconds_since(begin);
            sent.cpu_seconds = (is_ours ? database.relay_cpu_seconds() : own_cpu_seconds()) - cpu_before;
            if (is_ours) database.wait_until_sent();
            if (round >= 0) add(table, is_ours ? ours : client, sent, devices);
            if (redis.values(kPrefix) != values) throw std::runtime_error("relay_redis: the values of the two sides differ");
        }
    }
    double bytes = 0;
    for (const auto& [key, value] : values) bytes += static_cast<double>(value.size());
    table.add_side(ours, "value B/device", bytes / devices);
    return {table};
}

std::vector<Table> relay_ingest(const Setup& setup) {
    // Some seconds, because the relay needs a moment to see that the machine is busy.
    const std::int64_t count = 2 * setup.per_run();
    RelayedDatabase database(setup, "relay_ingest");
    Fleet fleet(Keys::kSequence);
    store_readings(database, fleet, count);
    NatsClient nats(setup.nats_port);
    nats.remake_stream();
    database.turn_on(Sinks::kBoth);
    database.wait_until_sent();

    const std::string off = "relay off", on = "relay on, NATS and Redis: last commit",
                      sent = "relay on: NATS has the last event";
    Table table("relay_ingest", "1,000 readings a transaction, 1 client, projector running", "readings/s", true);
    for (const std::string& label : {off, on, sent}) table.line(label, off);
    std::int64_t next = count;
    for (int round = 0; round < setup.rounds; ++round) {
        say("relay_ingest: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_on = (turn + round) % 2 == 0;
            const auto work = prepare(InsertMethod::kArrays, Format::kBinary, fleet.readings(next, count), kPerTransaction);
            next += count;
            if (is_on) {
                database.turn_on(Sinks::kBoth);
                database.wait_until_sent();  // also the events that came while it was off
                nats.remake_stream();
            } else {
                database.turn_off();
            }
            const double cpu_before = is_on ? database.relay_cpu_seconds() : 0;
            const Stored stored = store(database.conninfo(), InsertMethod::kArrays, Format::kBinary, work, 1);
            if (stored.accepted != count) throw std::runtime_error("relay_ingest: not every reading was stored");
            table.add(is_on ? on : off, static_cast<double>(count) / stored.seconds);
            if (is_on) {
                const auto begin = Clock::now();
                wait_until("all events in the stream", [&] { return nats.stream_state().messages >= count; });
                table.add(sent, static_cast<double>(count) / (stored.seconds + seconds_since(begin)));
                database.wait_until_sent();
                table.add_side(on, kCpu, (database.relay_cpu_seconds() - cpu_before) * 100'000 / static_cast<double>(count));
                if (nats.stream_state().messages != count) throw std::runtime_error("relay_ingest: NATS has other events");
            }
            wait_applied(database.connection(), next);
        }
    }
    return {table};
}

}  // namespace bench
