// Declares the benchmarks, and the sizes and servers that they share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "database.hpp"
#include "report.hpp"

namespace bench {

struct Setup {
    Servers servers;
    int rounds = 3;
    bool quick = false;
    // Ports of 127.0.0.1: servers beside the relay and HTTP, one where the server itself may answer HTTP, and one where
    // http/redis_server answers.
    int nats_port = 0, redis_port = 0, http_port = 0, redis_http_port = 0;

    std::int64_t stored_before() const { return quick ? 50'000 : 5'000'000; }
    std::int64_t per_run() const { return quick ? 20'000 : 500'000; }
    std::int64_t backlog() const { return quick ? 100'000 : 5'000'000; }
    double seconds_per_run() const { return quick ? 2 : 20; }
};

void say(const std::string& line);  // writes progress to stderr

using Benchmark = std::vector<Table> (*)(const Setup&);

// ingest.cpp: batches of 1,000 beside COPY.
std::vector<Table> ingest(const Setup& setup);
std::vector<Table> ingest_uuid4(const Setup& setup);
std::vector<Table> ingest_uuid7(const Setup& setup);
std::vector<Table> ingest_checkpoint(const Setup& setup);
std::vector<Table> ingest_retries(const Setup& setup);
std::vector<Table> ingest_two_clients(const Setup& setup);
// current.cpp: batches of 1,000 with the read models kept current, beside triggers that keep plain tables current.
std::vector<Table> current(const Setup& setup);
// inbox.cpp: COPY telemetry.inbox beside COPY into a plain table, a million rows a transaction and 1,000.
std::vector<Table> inbox(const Setup& setup);
std::vector<Table> inbox_small(const Setup& setup);
// json.cpp: batches of 1,000 as JSON beside arrays.
std::vector<Table> json(const Setup& setup);
// crossing.cpp: two clients with retries of each other's readings, beside one client.
std::vector<Table> crossing(const Setup& setup);
// quotas.cpp: limits that never refuse beside none.
std::vector<Table> quotas(const Setup& setup);
// single.cpp: one reading a call beside one prepared INSERT.
std::vector<Table> single(const Setup& setup);
// backlog.cpp: events that wait, beside a plain SQL job.
std::vector<Table> backlog(const Setup& setup);
std::vector<Table> backlog_of_many(const Setup& setup);  // of 200,000 devices
std::vector<Table> minute(const Setup& setup);           // of one minute
// late.cpp: late events beside fresh ones.
std::vector<Table> late(const Setup& setup);
// raw.cpp: ten minutes of a device's readings beside a plain table with an index, and what that index costs writers.
std::vector<Table> raw(const Setup& setup);
// freshness.cpp: commit to visible, beside an outbox polled every 10 ms.
std::vector<Table> freshness(const Setup& setup);
// reads.cpp: views beside tables that are written by hand, and live views beside the plain ones.
std::vector<Table> reads(const Setup& setup);
std::vector<Table> live(const Setup& setup);
// rebuild.cpp: ingest while a projection is rebuilt, beside ingest alone.
std::vector<Table> rebuild(const Setup& setup);
// subscription.cpp: a consumer of a subscription beside one of a PgQ queue.
std::vector<Table> subscription(const Setup& setup);
// The rest is compiled WITH_PEERS only, because it needs the libraries of NATS and Redis.
// relay/throughput.cpp and relay/latency.cpp: the relay beside clients of NATS and Redis.
std::vector<Table> relay_nats(const Setup& setup);
std::vector<Table> relay_redis(const Setup& setup);
std::vector<Table> relay_latency(const Setup& setup);
std::vector<Table> relay_ingest(const Setup& setup);
// http/stats.cpp, http/ingest.cpp and http/events.cpp: HTTP beside a server with Redis, SQL, and notifications.
std::vector<Table> http_stats(const Setup& setup);
std::vector<Table> http_ingest(const Setup& setup);
std::vector<Table> http_events(const Setup& setup);

}  // namespace bench
