// Two clients send the same readings in different order where they cross: 5 % of each one's readings are retries of the
// other's. One client that sends the same transactions stands beside them.
#include "sides.hpp"

namespace bench {
namespace {

constexpr int kPerTransaction = 1000;
constexpr int kBetweenRetries = 20;  // each 20th reading is a retry
constexpr int kAges = 5;             // a retry is up to four transactions younger than its original

// store() deals the transactions to the clients in turn, so those of even number are one client's and those of odd number the
// other's. With one client they are sent one after the other.
//
// Place 20 m + 10 of a client's transaction t has the reading that the other client sends at place 20 m + 11 of its transaction
// t - m % 5. So each transaction has ten readings that the other client sends in the transaction at the same time, and each of
// the two has its own after that of the other. No original is a retry itself.
std::vector<Reading> crossing_readings(std::int64_t first, std::int64_t count) {
    std::vector<Reading> readings = Fleet(Keys::kSequence).readings(first, count);
    const std::vector<Reading> originals = readings;
    const std::int64_t transactions = count / kPerTransaction;
    for (std::int64_t t = 0; t < transactions; ++t) {
        const std::int64_t pair = t / 2, client = t % 2;
        for (std::int64_t place = kBetweenRetries / 2; place < kPerTransaction; place += kBetweenRetries) {
            const std::int64_t age = place / kBetweenRetries % kAges;
            if (age > pair) continue;
            const std::int64_t original = (pair - age) * 2 + (1 - client);
            if (original >= transactions) continue;
            readings[static_cast<std::size_t>(t * kPerTransaction + place)] =
                originals[static_cast<std::size_t>(original * kPerTransaction + place + 1)];
        }
    }
    return readings;
}

}  // namespace

std::vector<Table> crossing(const Setup& setup) {
    const std::string one = "one client", two = "two clients";
    std::vector<Side> sides;
    for (const Target target : {Target::kProjectorStopped, Target::kProjectorRunning}) {
        sides.push_back(make_side(setup.servers, "crossing_one", one, target, InsertMethod::kArrays, one));
        sides.push_back(make_side(setup.servers, "crossing_two", two, target, InsertMethod::kArrays, one));
        sides.back().clients = 2;
    }
    prefill_sides("crossing", sides, setup.stored_before());

    Work work;
    work.name = "crossing";
    work.title = "1,000 readings a transaction, 5 % of each client's are retries of the other's, binary on the wire";
    work.per_transaction = kPerTransaction;
    work.per_round = 2 * setup.per_run();
    work.warm_up = setup.per_run() / 5;
    work.has_retries = true;
    work.readings = crossing_readings;
    std::vector<Table> tables;
    tables.push_back(compare_sides(setup, work, sides));
    expect_same_contents("crossing", sides);
    drop_sides(sides);
    return tables;
}

}  // namespace bench
