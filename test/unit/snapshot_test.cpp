// The snapshot arithmetic agrees with examples worked out by hand. In random histories a consumer takes every committed event
// exactly once and in the promised order, whatever is still running and wherever a slice ends.
#include "model/snapshot.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace model {

// GoogleTest finds these by their name, and calls them for messages of failed expectations.
// NOLINTBEGIN(readability-identifier-naming)
void PrintTo(const Snapshot& snapshot, std::ostream* out) {
    *out << snapshot.xmin.value << ':' << snapshot.xmax.value << ':';
    for (const Xid xid : snapshot.in_progress) *out << xid.value << ',';
}
void PrintTo(const Position& position, std::ostream* out) {
    PrintTo(position.snapshot, out);
    if (position.partial) *out << " + " << position.partial->xid.value << " up to " << position.partial->event_id.value;
}
// NOLINTEND(readability-identifier-naming)

}  // namespace model

namespace {

using model::EventId;
using model::Partial;
using model::Position;
using model::position_after;
using model::position_at;
using model::Snapshot;
using model::Window;
using model::window_between;
using model::Xid;

std::vector<Xid> xids(std::initializer_list<std::uint64_t> values) {
    std::vector<Xid> list;
    for (const auto value : values) list.push_back({value});
    return list;
}

Snapshot snapshot(std::uint64_t xmin, std::uint64_t xmax, std::initializer_list<std::uint64_t> in_progress = {}) {
    return {.xmin = {xmin}, .xmax = {xmax}, .in_progress = xids(in_progress)};
}

Partial partial(std::uint64_t xid, std::int64_t event_id) {
    return {.xid = {xid}, .event_id = {event_id}};
}

TEST(Snapshot, CoversWhatWasOver) {
    const auto s = snapshot(10, 20, {10, 15});
    EXPECT_TRUE(s.covers({9}));
    EXPECT_FALSE(s.covers({10}));
    EXPECT_TRUE(s.covers({11}));
    EXPECT_FALSE(s.covers({15}));
    EXPECT_TRUE(s.covers({19}));
    EXPECT_FALSE(s.covers({20}));
    EXPECT_FALSE(s.covers({21}));
    EXPECT_FALSE(snapshot(7, 7).covers({7}));
    EXPECT_TRUE(snapshot(7, 7).covers({6}));
}

TEST(Window, IsStragglersAndTheRangeBehind) {
    const auto window = window_between({snapshot(10, 20, {10, 12, 15}), {}}, snapshot(12, 30, {12, 25}));
    EXPECT_EQ(window.resume, std::nullopt);
    EXPECT_EQ(window.stragglers, xids({10, 15}));
    EXPECT_EQ(window.first, Xid{20});
    EXPECT_EQ(window.last, Xid{30});
    EXPECT_EQ(window.in_progress, xids({25}));
    EXPECT_EQ(window.until, std::nullopt);
}

TEST(Window, IsEmptyBetweenEqualSnapshots) {
    const auto s = snapshot(10, 20, {10, 12});
    const auto window = window_between(position_at(s), s);
    EXPECT_TRUE(window.stragglers.empty());
    EXPECT_EQ(window.first, window.last);
}

TEST(Window, ReadsTheCutTransactionFirst) {
    // The slice cut 15. Since then 10, which is below it, has ended.
    const auto straggler = window_between({snapshot(10, 20, {10, 12, 15}), partial(15, 100)}, snapshot(12, 30, {12}));
    EXPECT_EQ(straggler.resume, partial(15, 100));
    EXPECT_EQ(straggler.stragglers, xids({10}));
    EXPECT_EQ(straggler.first, Xid{20});

    const auto in_range = window_between({snapshot(10, 20, {10}), partial(20, 100)}, snapshot(30, 30));
    EXPECT_EQ(in_range.resume, partial(20, 100));
    EXPECT_EQ(in_range.stragglers, xids({10}));
    EXPECT_EQ(in_range.first, Xid{21});
    EXPECT_EQ(in_range.last, Xid{30});

    // Nothing is after the cut one, so the range is empty and not reversed.
    const auto alone = window_between({snapshot(20, 20), partial(20, 100)}, snapshot(21, 21));
    EXPECT_EQ(alone.first, alone.last);
}

TEST(Window, BetweenPositionsEndsAtTheirCuts) {
    const auto window =
        window_between({snapshot(10, 20, {10}), partial(20, 7)}, Position{snapshot(25, 28, {25}), partial(28, 9)});
    EXPECT_EQ(window.resume, partial(20, 7));
    EXPECT_EQ(window.stragglers, xids({10}));
    EXPECT_EQ(window.first, Xid{21});
    EXPECT_EQ(window.last, Xid{28});
    EXPECT_EQ(window.in_progress, xids({25}));
    EXPECT_EQ(window.until, partial(28, 9));
}

TEST(PositionAfter, InTheRange) {
    const Position from{snapshot(10, 20, {10, 12}), {}};
    const auto far_end = snapshot(12, 40, {12, 22, 30});
    EXPECT_EQ(position_after(from, far_end, partial(25, 5), true), (Position{snapshot(12, 26, {12, 22}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(25, 5), false), (Position{snapshot(12, 25, {12, 22}), partial(25, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(20, 5), true), (Position{snapshot(12, 21, {12}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(20, 5), false), (Position{snapshot(12, 20, {12}), partial(20, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(39, 5), true), (Position{far_end, {}}));
}

TEST(PositionAfter, AtAStraggler) {
    const Position from{snapshot(10, 20, {10, 12, 14, 16}), {}};
    const auto far_end = snapshot(12, 40, {12, 22});
    EXPECT_EQ(position_after(from, far_end, partial(10, 5), true), (Position{snapshot(12, 20, {12, 14, 16}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(10, 5), false),
              (Position{snapshot(10, 20, {10, 12, 14, 16}), partial(10, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(14, 5), true), (Position{snapshot(12, 20, {12, 16}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(14, 5), false), (Position{snapshot(12, 20, {12, 14, 16}), partial(14, 5)}));
    const auto all_over = snapshot(40, 40);
    EXPECT_EQ(position_after(from, all_over, partial(16, 5), true), (Position{snapshot(20, 20), {}}));
}

TEST(PositionAfter, ResumingACutTransaction) {
    const auto far_end = snapshot(40, 40);
    const Position straggler{snapshot(10, 20, {10, 14, 16}), partial(14, 5)};
    // The position is still inside it, so the stragglers below have not been read yet.
    EXPECT_EQ(position_after(straggler, far_end, partial(14, 6), false),
              (Position{snapshot(10, 20, {10, 14, 16}), partial(14, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(14, 6), true), (Position{snapshot(10, 20, {10, 16}), {}}));
    // The position is past it, in the straggler below. One transaction is cut, not two.
    EXPECT_EQ(position_after(straggler, far_end, partial(10, 6), false),
              (Position{snapshot(10, 20, {10, 16}), partial(10, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(16, 6), false), (Position{snapshot(16, 20, {16}), partial(16, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(30, 6), true), (Position{snapshot(31, 31), {}}));

    const Position in_range{snapshot(10, 20, {10}), partial(20, 5)};
    EXPECT_EQ(position_after(in_range, far_end, partial(20, 6), false), (Position{snapshot(10, 20, {10}), partial(20, 6)}));
    EXPECT_EQ(position_after(in_range, far_end, partial(20, 6), true), (Position{snapshot(10, 21, {10}), {}}));
    EXPECT_EQ(position_after(in_range, far_end, partial(10, 6), false), (Position{snapshot(10, 21, {10}), partial(10, 6)}));
    EXPECT_EQ(position_after(in_range, far_end, partial(10, 6), true), (Position{snapshot(21, 21), {}}));
    EXPECT_EQ(position_after(in_range, far_end, partial(21, 6), false), (Position{snapshot(21, 21), partial(21, 6)}));
}

TEST(PositionAt, IsTheSnapshotItself) {
    EXPECT_EQ(position_at(snapshot(10, 20, {10, 12})), (Position{snapshot(10, 20, {10, 12}), {}}));
    // A server's xmin may be lower than its first running transaction.
    EXPECT_EQ(position_at(snapshot(5, 20, {10, 12})), (Position{snapshot(10, 20, {10, 12}), {}}));
    EXPECT_EQ(position_at(snapshot(5, 20)), (Position{snapshot(20, 20), {}}));
}

// ---- random histories ----

struct Event {
    Xid xid;
    EventId event_id;
    friend auto operator<=>(const Event&, const Event&) = default;
};

// A model of a server: transactions get numbers, write events, and end in any order. It takes snapshots as the real one does.
class Server {
public:
    explicit Server(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    void step() {
        ++clock_;
        switch (below(5)) {
            case 0:
            case 1:
                running_.insert(next_xid_);
                begun_[next_xid_] = clock_;
                next_xid_ = {next_xid_.value + 1};
                break;
            case 2:
                if (!running_.empty())
                    for (auto left = below(4) == 0 ? below(40) : below(4); left > 0; --left) write(any_running());
                break;
            default:
                // The last one running runs on for long, as a straggler over many snapshots.
                if (running_.size() > 1 || (!running_.empty() && below(10) == 0)) end(any_running());
        }
    }

    void end_all() {
        while (!running_.empty()) end(*running_.begin());
    }

    Snapshot snapshot() const {
        Snapshot s{.xmin = {}, .xmax = {latest_completed_.value + 1}, .in_progress = {}};
        for (const Xid xid : running_)
            if (xid < s.xmax) s.in_progress.push_back(xid);
        s.xmin = running_.empty() ? s.xmax : std::min(*running_.begin(), s.xmax);
        return s;
    }

    // Returns the events of committed transactions in the index's order.
    const std::set<Event>& log() const { return log_; }
    bool was_over_before_began(Xid earlier, Xid later) const { return ended_.at(earlier) < begun_.at(later); }

private:
    Xid any_running() {
        auto it = running_.begin();
        std::advance(it, below(running_.size()));
        return *it;
    }
    // Ids come from a sequence of which every session caches some, so they ascend in a transaction but not across transactions.
    void write(Xid xid) {
        auto& cache = cached_ids_[xid];
        if (cache.first == cache.second) {
            cache = {next_event_id_, next_event_id_ + 8};
            next_event_id_ += 8;
        }
        pending_[xid].push_back({cache.first++});
    }
    void end(Xid xid) {
        if (below(4) != 0)  // else: rolled back
            for (const EventId id : pending_[xid]) log_.insert({xid, id});
        running_.erase(xid);
        ended_[xid] = clock_;
        latest_completed_ = std::max(latest_completed_, xid);
    }

    std::mt19937_64 random_;
    std::uint64_t clock_ = 0;
    Xid next_xid_{100};
    Xid latest_completed_{99};
    std::int64_t next_event_id_ = 1;
    std::set<Xid> running_;
    std::map<Xid, std::pair<std::int64_t, std::int64_t>> cached_ids_;
    std::map<Xid, std::vector<EventId>> pending_;
    std::map<Xid, std::uint64_t> begun_, ended_;
    std::set<Event> log_;
};

// Reads a window as its comment says. `visible` is what the reader's own snapshot shows.
template <typename Visible>
std::vector<Event> read(const std::set<Event>& log, const Window& window, Visible visible) {
    constexpr EventId kAll{INT64_MAX};
    std::vector<Event> events;
    // Adds the events of transactions in [first, last), of each those in (after, up_to].
    const auto scan = [&](Xid first, Xid last, EventId after, EventId up_to) {
        for (auto it = log.lower_bound({first, {0}}); it != log.end() && it->xid < last; ++it)
            if (it->event_id > after && it->event_id <= up_to && visible(it->xid)) events.push_back(*it);
    };
    const auto scan_one = [&](Xid xid, EventId after, EventId up_to) { scan(xid, {xid.value + 1}, after, up_to); };
    if (window.resume && window.until && window.resume->xid == window.until->xid) {
        EXPECT_TRUE(window.stragglers.empty());
        EXPECT_EQ(window.first, window.last);
        scan_one(window.resume->xid, window.resume->event_id, window.until->event_id);
        return events;
    }
    if (window.resume) scan_one(window.resume->xid, window.resume->event_id, kAll);
    for (const Xid xid : window.stragglers) scan_one(xid, {0}, kAll);
    scan(window.first, window.last, {0}, kAll);
    if (window.until) scan_one(window.until->xid, {0}, window.until->event_id);
    return events;
}

void expect_well_formed(const Position& position) {
    const auto& [xmin, xmax, in_progress] = position.snapshot;
    EXPECT_TRUE(std::ranges::is_sorted(in_progress));
    EXPECT_EQ(std::ranges::adjacent_find(in_progress), in_progress.end());
    EXPECT_EQ(xmin, in_progress.empty() ? xmax : in_progress.front());
    if (!in_progress.empty()) {
        EXPECT_LT(in_progress.back(), xmax);
    }
    if (position.partial) {
        const Xid cut = position.partial->xid;
        EXPECT_TRUE(cut == xmax || std::ranges::binary_search(in_progress, cut));
    }
}

// The definition of a position, word for word: has it seen this event?
bool has_seen(const Position& position, Xid xid, EventId event_id) {
    const auto& partial = position.partial;
    return position.snapshot.covers(xid) || (partial && partial->xid == xid && event_id <= partial->event_id);
}

class Consumer {
public:
    explicit Consumer(Server& server) : server_(server), position_(position_at(server.snapshot())), before_(server.log()) {}

    // Consumes at most `limit` events. The snapshot may be older than the server's present one, but not older than the last
    // one.
    void consume(const Snapshot& far_end, std::size_t limit) {
        const auto window = window_between(position_, far_end);
        cut_ += window.resume.has_value();
        straggler_below_cut_ += window.resume && !window.stragglers.empty() && window.stragglers.front() < window.resume->xid &&
                                window.resume->xid < position_.snapshot.xmax;
        const auto found = read(server_.log(), window, [&](Xid xid) { return far_end.covers(xid); });
        auto next = position_at(far_end);
        auto count = found.size();
        if (limit < count || (limit == count && limit > 0 && server_.below(2) == 0)) {
            count = limit;
            // Without a look at the next event the transaction counts as not finished.
            const auto last_seen = found[count - 1];
            const bool looked = count < found.size() ? server_.below(4) != 0 : server_.below(2) == 0;
            const bool finished = looked && (count == found.size() || found[count].xid != last_seen.xid);
            next = position_after(position_, far_end, {last_seen.xid, last_seen.event_id}, finished);
        }
        if (server_.below(8) == 0) return;  // A crash before the commit consumes nothing and moves nothing.

        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_TRUE(seen_.insert(found[i]).second) << "twice: " << found[i].xid.value << '/' << found[i].event_id.value;
            order_.push_back(found[i]);
        }
        if (count > 0)
            batches_.push_back({position_, next, {found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count)}});
        position_ = std::move(next);
        expect_well_formed(position_);
        for (const auto& event : server_.log())
            EXPECT_EQ(has_seen(position_, event.xid, event.event_id), seen_.contains(event) || before_.contains(event))
                << event.xid.value << '/' << event.event_id.value;
    }

    // Every batch is found again between its positions, however many transactions have ended since.
    void expect_batches_read_again() const {
        for (const auto& [from, to, events] : batches_) {
            const auto window = window_between(from, to);
            EXPECT_EQ(
                read(server_.log(), window, [&](Xid xid) { return !std::ranges::binary_search(window.in_progress, xid); }),
                events);
        }
    }

    // A transaction that was over before another began is delivered before it.
    void expect_promised_order() const {
        std::vector<Xid> order;  // of transactions by their first event
        std::map<Xid, std::size_t> last_event;
        std::map<Xid, std::size_t> first_event;
        for (std::size_t i = 0; i < order_.size(); ++i) {
            if (first_event.try_emplace(order_[i].xid, i).second) order.push_back(order_[i].xid);
            last_event[order_[i].xid] = i;
        }
        for (const Xid earlier : order)
            for (const Xid later : order)
                if (earlier != later && server_.was_over_before_began(earlier, later)) {
                    ASSERT_LT(last_event[earlier], first_event[later]) << earlier.value << " before " << later.value;
                }
    }

    const std::set<Event>& seen() const { return seen_; }
    const std::set<Event>& before() const { return before_; }
    int cut() const { return cut_; }
    int straggler_below_cut() const { return straggler_below_cut_; }

private:
    struct Batch {
        Position from, to;
        std::vector<Event> events;
    };
    Server& server_;
    Position position_;
    std::set<Event> before_;  // consumed before the consumer was made
    std::set<Event> seen_;
    std::vector<Event> order_;
    std::vector<Batch> batches_;
    int cut_ = 0;                  // windows that go on in a cut transaction ...
    int straggler_below_cut_ = 0;  // ... that is a straggler, while one below it is new
};

TEST(History, EveryCommittedEventIsConsumedExactlyOnce) {
    std::size_t consumed = 0;
    int cut = 0;
    int straggler_below_cut = 0;
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        Server server(seed);
        for (auto steps = server.below(30); steps > 0; --steps) server.step();
        Consumer consumer(server);
        const auto limit_bound = 1 + server.below(server.below(3) == 0 ? 60 : 6);
        for (int turn = 0; turn < 40; ++turn) {
            for (auto steps = server.below(20); steps > 0; --steps) server.step();
            const auto far_end = server.snapshot();
            for (auto slices = server.below(4); slices > 0; --slices) {
                consumer.consume(far_end, 1 + server.below(limit_bound));  // several slices of one snapshot, or of new ones
                if (server.below(3) == 0) server.step();
            }
            if (HasFailure()) FAIL() << "seed " << seed << " turn " << turn;
        }
        server.end_all();
        consumer.expect_promised_order();
        consumer.expect_batches_read_again();
        for (int tries = 0; tries < 40; ++tries) consumer.consume(server.snapshot(), SIZE_MAX);

        std::set<Event> expected;
        std::ranges::set_difference(server.log(), consumer.before(), std::inserter(expected, expected.end()));
        ASSERT_EQ(consumer.seen(), expected) << "seed " << seed;
        consumed += expected.size();
        cut += consumer.cut();
        straggler_below_cut += consumer.straggler_below_cut();
        consumer.expect_promised_order();
        consumer.expect_batches_read_again();
        if (HasFailure()) FAIL() << "seed " << seed;
    }
    // The histories had the hard cases.
    EXPECT_GT(consumed, 50000u);
    EXPECT_GT(cut, 10000);
    EXPECT_GT(straggler_below_cut, 200);
}

}  // namespace
