// Clients store batches of 1,000 readings a transaction onto five million stored before. The array function stands beside COPY
// of the same rows into a plain table with a unique key, and beside the plain SQL that takes retries.
#include "benchmarks.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>

#include "store.hpp"

namespace bench {
namespace {

constexpr int kPerTransaction = 1000;

enum class Side { kOursStopped, kOursRunning, kCopy, kInsert };

struct Options {
    Keys keys = Keys::kSequence;
    int clients = 1;
    int retries_per_mille = 0;
    bool checkpoint_before = false;
    std::vector<Format> formats = {Format::kBinary};
};

// The three stores hold the same readings at the start, and each counts on for itself.
struct Stores {
    explicit Stores(Keys k) : keys(k) {}
    Keys keys;
    std::string ours_stopped, ours_running, plain;
    std::int64_t next_stopped = 0, next_running = 0, next_plain = 0;  // numbers of the next reading
    std::int64_t accepted_running = 0;
};

// Filling takes a minute, so the benchmarks over sequence-like keys share one set.
Stores& stores_for(const Setup& setup, Keys keys) {
    static std::map<Keys, std::unique_ptr<Stores>> made;
    std::unique_ptr<Stores>& slot = made[keys];
    if (slot) return *slot;
    slot = std::make_unique<Stores>(keys);
    Stores& s = *slot;
    const std::string name = keys == Keys::kSequence ? "sequence" : keys == Keys::kUuid4 ? "uuid4" : "uuid7";
    const std::int64_t warm_up = setup.per_run() / 5, count = setup.stored_before();
    say("ingest: storing " + std::to_string(count) + " readings with " + name + " keys on each side");

    s.plain = make_database(setup.servers.stopped, "plain_" + name);
    make_plain_table(s.plain);
    s.ours_stopped = make_database(setup.servers.stopped, "ours_" + name);
    install_extension(s.ours_stopped, ProjectorState::kStopped);
    s.ours_running = make_database(setup.servers.running, "ours_" + name);
    install_extension(s.ours_running, ProjectorState::kRunning);

    const std::pair<const std::string*, InsertMethod> sides[] = {
        {&s.plain, InsertMethod::kCopy}, {&s.ours_stopped, InsertMethod::kArrays}, {&s.ours_running, InsertMethod::kArrays}};
    for (const auto& [conninfo, method] : sides) {
        Fleet fleet(keys);
        prefill(*conninfo, method, fleet, 0, count);
    }
    client::Connection running(s.ours_running);
    wait_applied(running, count);
    for (const auto& [conninfo, method] : sides) settle(*conninfo);
    // Each side pays for full-page images and cold caches after that checkpoint before the clock starts.
    for (const auto& [conninfo, method] : sides) {
        Fleet fleet(keys);
        prefill(*conninfo, method, fleet, count, warm_up);
    }
    s.next_stopped = s.next_running = s.next_plain = count + warm_up;
    s.accepted_running = count + warm_up;
    wait_applied(running, s.accepted_running);
    return s;
}

std::vector<Table> run(const Setup& setup, const std::string& name, const std::string& title, const Options& options) {
    Stores& stores = stores_for(setup, options.keys);
    const std::int64_t count = setup.per_run();
    const bool with_copy = options.retries_per_mille == 0;  // COPY stops at the first retry
    std::vector<Table> tables;

    for (const Format format : options.formats) {
        const std::string wire = format == Format::kBinary ? "binary" : "text";
        Table table(name, title + ", " + wire + " on the wire", "readings/s", true);
        const std::string copy = "COPY into a plain table", insert = "INSERT .. unnest .. ON CONFLICT into it",
                          ours = "ours, projector stopped", running = "ours, projector running: last commit",
                          applied = "ours, projector running: lag 0";
        const std::string base = with_copy ? copy : insert;
        if (with_copy) table.line(copy, base);
        table.line(insert, base);
        table.line(ours, base);
        table.line(running, base);
        table.line(applied, base);

        std::vector<Side> sides = {Side::kOursStopped, Side::kOursRunning, Side::kInsert};
        if (with_copy) sides.insert(sides.begin(), Side::kCopy);
        for (int round = 0; round < setup.rounds; ++round) {
            say(name + " (" + wire + "): round " + std::to_string(round + 1) + " of " + std::to_string(setup.rounds));
            std::vector<Side> order = sides;
            if (round % 2 == 1) std::reverse(order.begin(), order.end());
            for (const Side side : order) {
                const bool plain = side == Side::kCopy || side == Side::kInsert;
                const std::string& conninfo = plain                        ? stores.plain
                                              : side == Side::kOursRunning ? stores.ours_running
                                                                           : stores.ours_stopped;
                std::int64_t& next = plain                        ? stores.next_plain
                                     : side == Side::kOursRunning ? stores.next_running
                                                                  : stores.next_stopped;
                const InsertMethod method = side == Side::kCopy     ? InsertMethod::kCopy
                                            : side == Side::kInsert ? InsertMethod::kInsert
                                                                    : InsertMethod::kArrays;

                Fleet fleet(options.keys);
                const std::vector<Transaction> work =
                    prepare(method, format, fleet.readings(next, count, options.retries_per_mille), kPerTransaction);
                next += count;
                client::Connection observer(conninfo);
                if (options.checkpoint_before) observer.run("CHECKPOINT");
                const Stored stored = store(conninfo, method, format, work, options.clients);
                if (options.retries_per_mille == 0 && stored.accepted != count)
                    throw std::runtime_error(name + ": sent " + std::to_string(count) + ", stored " +
                                             std::to_string(stored.accepted));

                const double rate = static_cast<double>(count) / stored.seconds;
                const double wal = static_cast<double>(stored.wal_bytes) / static_cast<double>(count);
                const std::string label = side == Side::kCopy          ? copy
                                          : side == Side::kInsert      ? insert
                                          : side == Side::kOursStopped ? ours
                                                                       : running;
                table.add(label, rate);
                table.add_side(label, "WAL B/reading", wal);
                if (side == Side::kOursRunning) {
                    stores.accepted_running += stored.accepted;
                    const double more = wait_applied(observer, stores.accepted_running);
                    table.add(applied, static_cast<double>(count) / (stored.seconds + more));
                }
            }
        }
        tables.push_back(std::move(table));
    }
    return tables;
}

}  // namespace

std::vector<Table> ingest(const Setup& setup) {
    Options options;
    options.formats = {Format::kBinary, Format::kText};
    return run(setup, "ingest", "1,000 readings a transaction, 1 client, keys like dev-00042:00001234", options);
}

std::vector<Table> ingest_uuid4(const Setup& setup) {
    Options options;
    options.keys = Keys::kUuid4;
    return run(setup, "uuid4", "as ingest, random UUIDs as keys", options);
}

std::vector<Table> ingest_uuid7(const Setup& setup) {
    Options options;
    options.keys = Keys::kUuid7;
    return run(setup, "uuid7", "as ingest, time-ordered UUIDs (version 7) as keys", options);
}

std::vector<Table> ingest_checkpoint(const Setup& setup) {
    Options options;
    options.checkpoint_before = true;
    return run(setup, "checkpoint", "as ingest, each run directly after a CHECKPOINT (full-page images)", options);
}

std::vector<Table> ingest_retries(const Setup& setup) {
    Options options;
    options.retries_per_mille = 50;
    return run(setup, "retries", "as ingest, 5 % of the readings are retries", options);
}

std::vector<Table> ingest_two_clients(const Setup& setup) {
    Options options;
    options.clients = 2;
    return run(setup, "clients2", "as ingest, 2 clients", options);
}

}  // namespace bench
