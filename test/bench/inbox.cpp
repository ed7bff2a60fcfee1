// COPY telemetry.inbox stands beside COPY of the same rows into a plain table with the same columns and a unique key, in one
// transaction of a million rows and in transactions of 1,000.
#include "sides.hpp"

namespace bench {
namespace {

std::vector<Table> copy_into_inbox(const Setup& setup, const std::string& name, const std::string& title,
                                   std::int64_t per_round, int per_transaction) {
    const std::string plain = "COPY into a plain table", ours = "COPY telemetry.inbox";
    std::vector<Side> sides;
    sides.push_back(make_side(setup.servers, "inbox_plain", plain, Target::kPlainTable, InsertMethod::kCopyAll, plain));
    sides.push_back(make_side(setup.servers, "inbox_ours", ours, Target::kProjectorStopped, InsertMethod::kInbox, plain));
    sides.push_back(make_side(setup.servers, "inbox_ours", ours, Target::kProjectorRunning, InsertMethod::kInbox, plain));
    prefill_sides(name, sides, setup.stored_before());

    std::vector<Table> tables;
    for (const Format format : {Format::kBinary, Format::kText}) {
        Work work;
        work.name = name;
        work.title = title + ", 1 client, " + (format == Format::kBinary ? "binary" : "text") + " on the wire";
        work.format = format;
        work.per_transaction = per_transaction;
        work.per_round = per_round;
        work.warm_up = setup.per_run() / 5;
        work.readings = [](std::int64_t first, std::int64_t count) { return Fleet(Keys::kSequence).readings(first, count); };
        tables.push_back(compare_sides(setup, work, sides));
    }
    expect_same_contents(name, sides);
    drop_sides(sides);
    return tables;
}

}  // namespace

std::vector<Table> inbox(const Setup& setup) {
    const std::int64_t count = setup.quick ? 40'000 : 1'000'000;
    return copy_into_inbox(setup, "inbox", std::to_string(count) + " readings in one transaction", count,
                           static_cast<int>(count));
}

std::vector<Table> inbox_small(const Setup& setup) {
    return copy_into_inbox(setup, "inbox-small", "1,000 readings a transaction", setup.per_run(), 1000);
}

}  // namespace bench
