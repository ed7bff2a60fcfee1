// In random histories a consumer takes every committed event exactly once and in the promised order, whatever is still running
// and wherever a slice ends.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "model/snapshot.hpp"

#include "print_snapshot.hpp"

namespace {

using model::EventId;
using model::Position;
using model::position_after;
using model::position_at;
using model::Snapshot;
using model::Window;
using model::window_between;
using model::Xid;

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
