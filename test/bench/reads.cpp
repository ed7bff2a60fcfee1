// Queries of the views, beside the same queries of tables with the same columns, and queries of live views beside plain ones.
#include "benchmarks.hpp"

#include <chrono>
#include <random>
#include <stdexcept>

#include "store.hpp"

namespace bench {
namespace {

using client::Connection;
using Clock = std::chrono::steady_clock;

// Asks the same question of many keys, and returns how long one answer takes.
double ms_an_answer(Connection& connection, const std::string& statement, const std::vector<std::string>& keys) {
    const auto begin = Clock::now();
    for (const std::string& key : keys) connection.run_prepared(statement, {{key}});
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count() / static_cast<double>(keys.size());
}

std::vector<std::string> some_devices(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back(device_name(static_cast<int>(random() % kDevices)));
    return names;
}

// Makes a database of which everything is applied.
std::string filled(const Setup& setup, const std::string& name, std::int64_t readings) {
    std::string conninfo = make_database(setup.servers.stopped, name);
    install_extension(conninfo, ProjectorState::kStopped);
    Fleet fleet(Keys::kSequence);
    prefill(conninfo, InsertMethod::kArrays, fleet, 0, readings);
    Connection connection(conninfo);
    connection.run("CALL telemetry.project_once()");
    return conninfo;
}

void check_same(const client::Result& a, const client::Result& b, const std::string& what) {
    bool is_same = a.rows() > 0 && a.rows() == b.rows();
    for (int row = 0; is_same && row < a.rows(); ++row)
        for (int column = 0; column < PQnfields(a.get()); ++column)
            is_same = is_same && a.text(row, column) == b.text(row, column);
    if (!is_same) throw std::runtime_error(what + ": the two sides give different answers");
}

}  // namespace

std::vector<Table> reads(const Setup& setup) {
    const std::string conninfo = filled(setup, "reads", setup.stored_before());
    Connection connection(conninfo);
    // A user would keep this by hand: the columns of the view, with a primary key.
    connection.run(
        "CREATE TABLE by_device AS TABLE telemetry.device_stats; ALTER TABLE by_device ADD PRIMARY KEY (device_id); "
        "CREATE TABLE by_minute AS TABLE telemetry.device_stats_1m; ALTER TABLE by_minute ADD PRIMARY KEY (device_id, metric, "
        "time)");
    settle(conninfo);

    // as_of is a figure of the moment on our side. A client asks for it, and the answers are compared without it.
    struct Question {
        std::string title, columns, from_view, from_table, condition;
        bool is_of_region;
        std::size_t answers;
    };
    const std::string hour =
        connection.run_text("SELECT quote_literal(max(last_seen) - interval '1 hour') FROM telemetry.device_stats");
    const std::string all_columns =
        "device_id, region, first_seen, last_seen, last_received_at, sample_count, avg_temperature, min_temperature, "
        "max_temperature, stddev_temperature, last_temperature, avg_humidity, min_humidity, max_humidity, stddev_humidity, "
        "last_humidity";
    const std::vector<Question> questions = {
        {"one device's statistics", all_columns, "telemetry.device_stats", "by_device", "device_id = $1", false, 5000},
        {"the statistics of a region's 500 devices", all_columns, "telemetry.device_stats", "by_device",
         "region = $1 ORDER BY device_id", true, 50},
        {"one device's last hour by minute", "time, sample_count, avg, min, max", "telemetry.device_stats_1m", "by_minute",
         "device_id = $1 AND metric = 'temperature' AND time >= " + hour + " ORDER BY time", false, 2000},
    };
    const std::string by_hand = "a table with the same columns and a primary key", ours = "ours";
    std::vector<Table> tables;
    for (std::size_t i = 0; i < questions.size(); ++i) {
        const Question& question = questions[i];
        const std::string number = std::to_string(i);
        for (const bool is_ours : {false, true})
            for (const bool has_as_of : {false, true})
                connection.prepare((is_ours ? "ours" : "hand") + number + (has_as_of ? "" : " compared"),
                                   "SELECT " + question.columns + (has_as_of ? ", as_of" : "") + " FROM " +
                                       (is_ours ? question.from_view : question.from_table) + " WHERE " + question.condition);
        Table table("reads", question.title, "ms an answer", false);
        for (const std::string& label : {by_hand, ours}) table.line(label, by_hand);
        for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
            std::vector<std::string> keys = some_devices(setup.quick ? 20 : question.answers, static_cast<unsigned>(round + 1));
            if (question.is_of_region)
                for (std::string& key : keys) key = region_name(std::stoi(key.substr(4)));
            check_same(connection.run_prepared("ours" + number + " compared", {{keys[0]}}),
                       connection.run_prepared("hand" + number + " compared", {{keys[0]}}), "reads");
            for (int turn = 0; turn < 2; ++turn) {
                const bool is_ours = (turn + round) % 2 == 0;
                const double ms = ms_an_answer(connection, (is_ours ? "ours" : "hand") + number, keys);
                if (round >= 0) table.add(is_ours ? ours : by_hand, ms);
            }
        }
        tables.push_back(std::move(table));
    }
    return tables;
}

std::vector<Table> live(const Setup& setup) {
    std::int64_t next = setup.stored_before() / 5;
    const std::string conninfo = filled(setup, "live", next);
    settle(conninfo);
    Connection connection(conninfo);
    connection.prepare("plain", "SELECT * FROM telemetry.device_stats WHERE device_id = $1");
    connection.prepare("live", "SELECT * FROM telemetry.device_stats_live WHERE device_id = $1");

    Fleet fleet(Keys::kSequence);
    std::vector<Table> tables;
    for (const int lag : {90, 10'000}) {
        Table table("live", "one device's statistics, " + std::to_string(lag) + " events not applied", "ms an answer", false);
        const std::string plain = "the plain view", twin = "its live twin";
        table.line(plain, plain);
        table.line(twin, plain);
        for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
            connection.run("CALL telemetry.project_once()");
            store(conninfo, InsertMethod::kArrays, Format::kBinary,
                  prepare(InsertMethod::kArrays, Format::kBinary, fleet.readings(next, lag), 1000), 1);
            next += lag;
            const std::vector<std::string> keys = some_devices(setup.quick  ? 20
                                                               : lag < 1000 ? 2000
                                                                            : 200,
                                                               static_cast<unsigned>(round + 1));
            double ms[2];
            for (int turn = 0; turn < 2; ++turn) {
                const int is_twin = (turn + round) % 2 == 0 ? 1 : 0;
                ms[is_twin] = ms_an_answer(connection, is_twin == 1 ? "live" : "plain", keys);
            }
            if (round < 0) continue;
            table.add(plain, ms[0]);
            table.add(twin, ms[1]);
            table.add_side(twin, "ms more", ms[1] - ms[0]);
        }
        const std::int64_t seen = connection.run_integer("SELECT sum(sample_count) FROM telemetry.device_stats_live");
        if (seen != next)
            throw std::runtime_error("live: " + std::to_string(seen) + " of " + std::to_string(next) + " readings are seen");
        tables.push_back(std::move(table));
    }
    return tables;
}

}  // namespace bench
