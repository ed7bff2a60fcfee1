// One consumer reads events that wait, in batches of 1,000: of a subscription, and of a PgQ queue that holds the same events.
#include "benchmarks.hpp"

#include <chrono>
#include <stdexcept>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

constexpr int kPerBatch = 1000;

struct Consumed {
    std::int64_t events = 0;
    std::int64_t bytes = 0;  // of the payloads
    double seconds = 0;
};

Consumed consume_subscription(Connection& connection) {
    connection.run("SELECT telemetry.restart_subscription('bench', '-infinity')");
    Consumed consumed;
    const auto begin = Clock::now();
    for (;;) {
        const client::Result rows = connection.run_prepared("next", {});
        if (rows.rows() == 0) break;
        for (int row = 0; row < rows.rows(); ++row) consumed.bytes += static_cast<std::int64_t>(rows.text(row, 4).size());
        consumed.events += rows.rows();
        connection.run_prepared("ack", {{rows.text(0, 0)}});
    }
    consumed.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return consumed;
}

Consumed consume_queue(Connection& connection, std::int64_t first_tick) {
    connection.run("SELECT pgq.unregister_consumer('bench', 'c') FROM pgq.get_consumer_info('bench', 'c')");
    connection.run("SELECT pgq.register_consumer_at('bench', 'c', " + std::to_string(first_tick) + ")");
    Consumed consumed;
    const auto begin = Clock::now();
    for (;;) {
        const client::Result batch = connection.run_prepared("next_batch", {});
        if (batch.is_null(0, 0)) break;
        const client::Result rows = connection.run_prepared("batch_events", {{batch.text(0, 0)}});
        for (int row = 0; row < rows.rows(); ++row) consumed.bytes += static_cast<std::int64_t>(rows.text(row, 3).size());
        consumed.events += rows.rows();
        connection.run_prepared("finish_batch", {{batch.text(0, 0)}});
    }
    consumed.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return consumed;
}

// Copies the payloads of the subscription into the queue, a tick for each 1,000. Returns the tick before the first one.
std::int64_t fill_queue(Connection& connection) {
    connection.run("CREATE EXTENSION pgq");
    connection.run("SELECT pgq.create_queue('bench')");
    connection.run("SELECT pgq.register_consumer('bench', 'keeper')");  // so that no event is rotated away
    const std::int64_t first_tick = connection.run_integer("SELECT max(tick_id) FROM pgq.tick");
    connection.run("SELECT telemetry.restart_subscription('bench', '-infinity')");
    for (;;) {
        const std::int64_t lease = connection.run_integer(
            "WITH n AS MATERIALIZED (SELECT * FROM telemetry.next_batch('bench', 1000)), i AS (SELECT "
            "pgq.insert_event('bench', "
            "n.type, n.payload::text) FROM n) SELECT COALESCE((SELECT max(lease) FROM n), 0) + 0 * (SELECT count(*) FROM i)");
        if (lease == 0) break;
        connection.run("SELECT telemetry.ack('bench', " + std::to_string(lease) + ")");
        connection.run("SELECT pgq.force_tick('bench')");
        connection.run("SELECT pgq.ticker('bench')");
    }
    return first_tick;
}

}  // namespace

std::vector<Table> subscription(const Setup& setup) {
    const std::int64_t count = setup.per_run();
    const std::string conninfo = make_database(setup.servers.running, "subscription");
    install_extension(conninfo, ProjectorState::kRunning);
    Connection connection(conninfo);
    if (connection.run_integer("SELECT count(*) FROM pg_available_extensions WHERE name = 'pgq'") == 0)
        throw std::runtime_error("subscription: the server has no PgQ (package postgresql-<version>-pgq3)");
    Fleet fleet(Keys::kSequence);
    const auto work = prepare(InsertMethod::kArrays, Format::kBinary, fleet.readings(0, count), kPerBatch);
    store(conninfo, InsertMethod::kArrays, Format::kBinary, work, 1);
    wait_applied(connection, count);
    connection.run("SELECT telemetry.create_subscription('bench', '-infinity')");
    say("subscription: copying " + std::to_string(count) + " events into a PgQ queue");
    connection.prepare("next", "SELECT lease, id, type, created_at, payload FROM telemetry.next_batch('bench', 1000)");
    connection.prepare("ack", "SELECT telemetry.ack('bench', $1)");
    const std::int64_t first_tick = fill_queue(connection);
    Connection queue_connection(conninfo);  // a session of its own, in which nothing of ours has run
    queue_connection.prepare("next_batch", "SELECT pgq.next_batch('bench', 'c')");
    queue_connection.prepare("batch_events", "SELECT ev_id, ev_type, ev_time, ev_data FROM pgq.get_batch_events($1)");
    queue_connection.prepare("finish_batch", "SELECT pgq.finish_batch($1)");
    settle(conninfo);

    const std::string queue = "PgQ: next_batch, get_batch_events, finish_batch", ours = "telemetry.next_batch, telemetry.ack";
    Table table("subscription", "one consumer, batches of 1,000, " + std::to_string(count) + " events that wait", "events/s",
                true);
    table.line(queue, queue);
    table.line(ours, queue);
    for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
        for (int turn = 0; turn < 2; ++turn) {
            const bool is_ours = (turn + round) % 2 != 0;
            const Consumed consumed = is_ours ? consume_subscription(connection) : consume_queue(queue_connection, first_tick);
            if (consumed.events != count) throw std::runtime_error("subscription: a consumer got another number of events");
            if (round < 0) continue;
            table.add(is_ours ? ours : queue, static_cast<double>(consumed.events) / consumed.seconds);
            table.add_side(is_ours ? ours : queue, "payload B/event",
                           static_cast<double>(consumed.bytes) / static_cast<double>(count));
        }
    }
    return {table};
}

}  // namespace bench
