// Compares ways to store the same readings. Each side has a database of its own. All sides store the same readings in each
// round, and must have the same contents in the end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks.hpp"
#include "store.hpp"

namespace bench {

enum class Target { kPlainTable, kProjectorStopped, kProjectorRunning };

struct Side {
    std::string label;  // without the target, which the table adds
    Target target;
    InsertMethod method;
    std::string conninfo;
    std::string base;  // the label of the side that this one is compared with
    int clients = 1;
    std::function<void()> before_round = [] {};  // not timed
    // Null: store() of store.hpp. Otherwise this stores them, and what it prepares is not in its seconds.
    std::function<Stored(const std::vector<Transaction>&)> store = {};
    std::int64_t next = 0;      // number of the next reading
    std::int64_t accepted = 0;  // readings that this side has stored
};

struct Work {
    std::string name, title;
    Format format = Format::kBinary;
    int per_transaction = 1000;
    std::int64_t per_round = 0;   // numbers of readings in a round
    std::int64_t warm_up = 0;     // the same before the first round, not timed
    bool has_retries = false;     // then the number of new readings is not that of all readings
    std::string session_options;  // for libpq: " options='..'"
    // Returns the readings of a round, of `count` numbers.
    std::function<std::vector<Reading>(std::int64_t first, std::int64_t count)> readings;
};

// Makes the database of this side, with the extension or with the plain table of the columns of telemetry.inbox.
Side make_side(const Servers& servers, const std::string& database, const std::string& label, Target target,
               InsertMethod method, const std::string& base);

// Stores the same `count` readings on each side, with the fast method of its target and without a clock.
void prefill_sides(const std::string& name, std::vector<Side>& sides, std::int64_t count);

// Runs the rounds. A side with a running projector has a second line, until lag 0. It is compared with the lag 0 of its base,
// or with a base that has no projector.
Table compare_sides(const Setup& setup, const Work& work, std::vector<Side>& sides);

// Throws if two sides hold different readings.
void expect_same_contents(const std::string& name, const std::vector<Side>& sides);

// Drops the databases, because the disk must hold those of other benchmarks as well.
void drop_sides(const std::vector<Side>& sides);

}  // namespace bench
