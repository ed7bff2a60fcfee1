// Clients ask for the statistics of devices. The other side is a small server of our own that has them in Redis.
//
// Both sides answer the same requests with the same bodies, and every body is compared.
#include <chrono>
#include <random>
#include <stdexcept>

#include "benchmarks.hpp"
#include "http/clients.hpp"
#include "http/http_service.hpp"
#include "relay/redis_client.hpp"
#include "store.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAskedDevices = 1000;
constexpr std::size_t kClients = 32;
constexpr int kExpirySeconds = 86'400;

struct Question {
    std::string request;
    std::string body;  // of the answer
};

struct Answers {
    double per_second = 0;
    std::vector<double> milliseconds;
};

Answers measure(int port, const std::vector<Question>& questions, double seconds, unsigned seed) {
    HttpClients clients(port, kClients);
    struct Asked {
        const Question* question;
        Clock::time_point at;
    };
    std::vector<Asked> asked(kClients);
    std::mt19937 random(seed);
    Answers answers;
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    clients.run(
        [&](std::size_t client) -> const std::string* {
            const auto now = Clock::now();
            if (now >= end) return nullptr;
            asked[client] = {&questions[random() % questions.size()], now};
            return &asked[client].question->request;
        },
        [&](std::size_t client, const AnswerReader& answer) {
            answers.milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - asked[client].at).count());
            if (answer.status() != 200 || answer.body() != asked[client].question->body)
                throw std::runtime_error("http_stats: another answer, with status " + std::to_string(answer.status()) + ": " +
                                         answer.body());
        });
    answers.per_second =
        static_cast<double>(answers.milliseconds.size()) / std::chrono::duration<double>(Clock::now() - begin).count();
    return answers;
}

// Asks ours for each device, and puts the answers into Redis.
std::vector<Question> make_questions(const Setup& setup, const std::string& token) {
    HttpClients client(setup.http_port, 1);
    std::vector<Question> questions;
    RedisValues values;
    for (int device = 0; device < kAskedDevices; ++device) {
        std::string request = http_get("/devices/" + device_name(device) + "/stats", token);
        std::string body = client.ask(request);
        values.emplace_back("device:stats:" + device_name(device), body);
        questions.push_back({std::move(request), std::move(body)});
    }
    RedisClient redis(setup.redis_port);
    redis.remove_everything();
    redis.set(values, kExpirySeconds);
    return questions;
}

}  // namespace

std::vector<Table> http_stats(const Setup& setup) {
    const std::string conninfo = make_database(setup.servers.running, "http_stats");
    install_extension(conninfo, ProjectorState::kRunning);
    Fleet fleet(Keys::kSequence, kAskedDevices);
    const std::int64_t readings = setup.per_run();
    prefill(conninfo, InsertMethod::kArrays, fleet, 0, readings);
    {
        client::Connection observer(conninfo);
        wait_applied(observer, readings);
    }
    settle(conninfo);

    const std::string redis = "libuv and hiredis, one process beside Redis", ours = "ours, one worker";
    Table table("http_stats", "GET /devices/{id}/stats of 1,000 devices, 32 clients that keep their connections", "requests/s",
                true);
    table.line(redis, redis);
    table.line(ours, redis);
    {
        HttpService service(setup, conninfo, 1);
        const std::vector<Question> questions = make_questions(setup, service.token_of_reader());
        for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
            if (round >= 0) say("http_stats: round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
            for (int turn = 0; turn < 2; ++turn) {
                const bool is_ours = (turn + round) % 2 == 0;
                const std::string& label = is_ours ? ours : redis;
                const Answers answers = measure(is_ours ? setup.http_port : setup.redis_http_port, questions,
                                                setup.seconds_per_run() / (round < 0 ? 10 : 1), static_cast<unsigned>(round));
                if (round < 0) continue;
                table.add(label, answers.per_second);
                table.add_side(label, "p50 ms", percentile(answers.milliseconds, 0.50));
                table.add_side(label, "p99 ms", percentile(answers.milliseconds, 0.99));
                table.add_side(label, "max ms", percentile(answers.milliseconds, 1.0));
            }
        }
        double bytes = 0;
        for (const Question& question : questions) bytes += static_cast<double>(question.body.size());
        table.add_side(ours, "body B", bytes / kAskedDevices);
    }
    drop_database(conninfo);
    return {table};
}

}  // namespace bench
