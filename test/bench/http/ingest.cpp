// Four clients post batches of 1,000 readings, beside four connections that send the same texts by SQL.
#include <chrono>
#include <stdexcept>
#include <string_view>

#include "http/clients.hpp"
#include "http/http_service.hpp"
#include "sides.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kClients = 4;
constexpr int kWorkers = 2;

// Returns how many readings an answer says are new.
std::int64_t accepted_of(const AnswerReader& answer) {
    constexpr std::string_view kMember = "\"accepted\":";
    const std::size_t at = answer.body().find(kMember);
    if (answer.status() != 200 || at == std::string::npos)
        throw std::runtime_error("http_ingest: status " + std::to_string(answer.status()) + ": " + answer.body());
    return std::stoll(answer.body().substr(at + kMember.size()));
}

// A client that has its answer takes the next batch, because the kernel may give one worker more clients than the other.
Stored post(const std::string& conninfo, int port, const std::string& token, const std::vector<Transaction>& batches) {
    std::vector<std::string> requests;
    requests.reserve(batches.size());
    for (const Transaction& batch : batches) requests.push_back(http_post("/telemetry", token, batch.parameters.at(0)));
    client::Connection observer(conninfo);
    const std::string wal_before = observer.run_text("SELECT pg_current_wal_insert_lsn()");
    HttpClients clients(port, kClients);
    std::size_t next = 0;
    Stored stored;
    const auto begin = Clock::now();
    clients.run([&](std::size_t) -> const std::string* { return next < requests.size() ? &requests[next++] : nullptr; },
                [&](std::size_t, const AnswerReader& answer) { stored.accepted += accepted_of(answer); });
    stored.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    stored.wal_bytes = observer.run_integer("SELECT pg_current_wal_insert_lsn() - '" + wal_before + "'::pg_lsn");
    return stored;
}

}  // namespace

std::vector<Table> http_ingest(const Setup& setup) {
    const std::string sql = "SQL, 4 connections", http = "HTTP, 4 clients, 2 workers";
    std::vector<Side> sides;
    sides.push_back(make_side(setup.servers, "http_ingest_sql", sql, Target::kProjectorRunning, InsertMethod::kJson, sql));
    sides.push_back(make_side(setup.servers, "http_ingest_http", http, Target::kProjectorRunning, InsertMethod::kJson, sql));
    for (Side& side : sides) side.clients = kClients;
    prefill_sides("http_ingest", sides, setup.stored_before());

    std::vector<Table> tables;
    {
        HttpService service(setup, sides[1].conninfo, kWorkers);
        const std::string token = service.token_of_writer();
        sides[1].store = [&](const std::vector<Transaction>& batches) {
            return post(sides[1].conninfo, setup.http_port, token, batches);
        };
        Work work;
        work.name = "http_ingest";
        work.title = "POST /telemetry, arrays of 1,000 readings as JSON";
        work.per_round = setup.per_run();
        work.warm_up = setup.per_run() / 5;
        work.readings = [](std::int64_t first, std::int64_t count) { return Fleet(Keys::kSequence).readings(first, count); };
        tables.push_back(compare_sides(setup, work, sides));
    }
    expect_same_contents("http_ingest", sides);
    drop_sides(sides);
    return tables;
}

}  // namespace bench
