#include "sides.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace bench {
namespace {

using client::Connection;

std::string line_of(const Side& side) {
    switch (side.target) {
        case Target::kPlainTable:
            return side.label;
        case Target::kProjectorStopped:
            return side.label + ", projector stopped";
        case Target::kProjectorRunning:
            return side.label + ", projector running: last commit";
    }
    throw std::logic_error("no such target");
}

std::string lag_0_line_of(const Side& side) {
    return side.label + ", projector running: lag 0";
}

// The base has the label that the side names, and the same target or the plain table.
const Side& base_of(const Side& side, const std::vector<Side>& sides) {
    for (const Side& other : sides)
        if (other.label == side.base && (other.target == side.target || other.target == Target::kPlainTable)) return other;
    throw std::logic_error("no base " + side.base);
}

std::int64_t count_new(const std::vector<Reading>& readings) {
    std::vector<std::string_view> keys;
    keys.reserve(readings.size());
    for (const Reading& r : readings) keys.push_back(r.key);
    std::sort(keys.begin(), keys.end());
    return std::unique(keys.begin(), keys.end()) - keys.begin();
}

// Stores the readings of `count` numbers and moves the side on.
Stored store_on(Side& side, const Work& work, std::int64_t count, std::size_t& sent) {
    const std::vector<Reading> readings = work.readings(side.next, count);
    const std::vector<Transaction> transactions = prepare(side.method, work.format, readings, work.per_transaction);
    side.before_round();
    const Stored stored =
        side.store ? side.store(transactions)
                   : store(side.conninfo + work.session_options, side.method, work.format, transactions, side.clients);
    const std::int64_t expected = work.has_retries ? count_new(readings) : static_cast<std::int64_t>(readings.size());
    if (stored.accepted != expected)
        throw std::runtime_error(work.name + ": " + line_of(side) + ": sent " + std::to_string(expected) +
                                 " new readings, stored " + std::to_string(stored.accepted));
    side.next += count;
    side.accepted += expected;
    sent = readings.size();
    return stored;
}

double wait_until_applied(const Side& side) {
    Connection observer(side.conninfo);
    return wait_applied(observer, side.accepted);
}

// Returns the number of readings and the sum of their hashes, so the order of rows does not matter.
std::string contents_of(const Side& side) {
    Connection connection(side.conninfo);
    return connection.run_text(
        "SELECT count(*) || ' readings with hashes ' || coalesce(sum(hash_record_extended(ROW(device_id, measured_at, "
        "temperature, "
        "humidity, idempotency_key, metrics, region), 0)::numeric), 0) FROM " +
        std::string(side.target == Target::kPlainTable ? "plain" : "telemetry.measurements"));
}

}  // namespace

Side make_side(const Servers& servers, const std::string& database, const std::string& label, Target target,
               InsertMethod method, const std::string& base) {
    const bool is_running = target == Target::kProjectorRunning;
    Side side{label, target, method, make_database(is_running ? servers.running : servers.stopped, database), base};
    if (target == Target::kPlainTable)
        make_plain_table_with_metrics(side.conninfo);
    else
        install_extension(side.conninfo, is_running ? ProjectorState::kRunning : ProjectorState::kStopped);
    return side;
}

void prefill_sides(const std::string& name, std::vector<Side>& sides, std::int64_t count) {
    say(name + ": storing " + std::to_string(count) + " readings on each side");
    for (Side& side : sides) {
        const bool is_plain = side.target == Target::kPlainTable;
        Fleet fleet(Keys::kSequence);
        prefill(side.conninfo, is_plain ? InsertMethod::kCopyAll : InsertMethod::kArrays, fleet, side.next, count);
        side.next += count;
        side.accepted += count;
        if (side.target == Target::kProjectorRunning) wait_until_applied(side);
    }
    for (const Side& side : sides) settle(side.conninfo);
}

Table compare_sides(const Setup& setup, const Work& work, std::vector<Side>& sides) {
    Table table(work.name, work.title, "readings/s", true);
    for (const Side& side : sides) {
        const Side& base = base_of(side, sides);
        const bool is_running = side.target == Target::kProjectorRunning;
        table.line(line_of(side), line_of(base));
        if (is_running) table.line(lag_0_line_of(side), base.target == side.target ? lag_0_line_of(base) : line_of(base));
    }
    for (int round = -1; round < setup.rounds; ++round) {  // Round -1 warms up.
        if (round < 0 && work.warm_up == 0) continue;
        if (round >= 0)
            say(work.name + " (" + work.title + "): round " + std::to_string(round + 1) + " of " +
                std::to_string(setup.rounds));
        for (std::size_t i = 0; i < sides.size(); ++i) {
            Side& side = sides[round % 2 != 0 ? sides.size() - 1 - i : i];
            const bool is_running = side.target == Target::kProjectorRunning;
            std::size_t sent = 0;
            const Stored stored = store_on(side, work, round < 0 ? work.warm_up : work.per_round, sent);
            const double more = is_running ? wait_until_applied(side) : 0;
            if (round < 0) continue;
            const auto readings = static_cast<double>(sent);
            table.add(line_of(side), readings / stored.seconds);
            table.add_side(line_of(side), "WAL B/reading", static_cast<double>(stored.wal_bytes) / readings);
            if (is_running) table.add(lag_0_line_of(side), readings / (stored.seconds + more));
        }
    }
    return table;
}

void expect_same_contents(const std::string& name, const std::vector<Side>& sides) {
    std::string first;
    for (const Side& side : sides) {
        const std::string contents = contents_of(side);
        if (first.empty()) first = contents;
        if (contents != first)
            throw std::runtime_error(name + ": the sides differ: " + line_of(sides[0]) + " has " + first + ", " +
                                     line_of(side) + " has " + contents);
    }
}

void drop_sides(const std::vector<Side>& sides) {
    for (const Side& side : sides) drop_database(side.conninfo);
}

}  // namespace bench
