// Orders consumers by whether they keep up, and by how far they are behind.
#include "projection/schedule.hpp"

#include <algorithm>

namespace projection {
namespace {

// Before a lazy projection has something to do, the open batch is closed.
constexpr runtime::SteadyTime kShortestDelay = 20'000;

// An audit takes its time, so that the others hardly notice it.
constexpr runtime::SteadyTime kBetweenAudits = 2'000'000;

using Purpose = feed::Cursor::Purpose;

bool has_kept_up(const Consumer& each) noexcept {
    return each.is_lazy() && each.is(Purpose::kCurrent) && each.cursor.is_filled;
}

// Those that readers expect to be current are served first, and audits last.
int rank_of(const Consumer& each) noexcept {
    if (has_kept_up(each)) return 0;
    if (each.is(Purpose::kCurrent) && each.cursor.is_filled) return 1;
    return each.is(Purpose::kAudit) ? 3 : 2;
}

bool precedes(const Consumer& a, const Consumer& b) noexcept {
    return rank_of(a) != rank_of(b) ? rank_of(a) < rank_of(b) : a.cursor.batch < b.cursor.batch;
}

// Can one pass serve both?
bool fit_together(const Consumer& a, const Consumer& b) noexcept {
    return rank_of(a) == rank_of(b) && a.cursor.batch == b.cursor.batch &&
           a.reads_closed_batches() == b.reads_closed_batches() && !a.definition->is_handler() && !b.definition->is_handler() &&
           a.cursor.is_copied && b.cursor.is_copied;
}

}  // namespace

void Schedule::suspend(std::string_view consumer, bool is_suspended) {
    if (is_suspended)
        suspended_.emplace(consumer);
    else if (const auto found = suspended_.find(consumer); found != suspended_.end())
        suspended_.erase(found);
}

bool Schedule::waits(const Consumer& each, const feed::Progress& progress, const PassOptions& options) const {
    if (each.follows() || is_left_out(each) || each.stands_still) return false;
    if (!each.cursor.is_copied) return true;
    const bool has_batch = each.cursor.batch < progress.last_batch();
    if (each.is(Purpose::kBaseline)) return has_batch && each.cursor.batch < each.cursor.until;
    if (each.is(Purpose::kAudit)) return has_batch && due_at(each) <= runtime::steady_time();
    if (!each.is_lazy() || each.is(Purpose::kRebuild)) return true;
    return has_batch && (options.serves_lazy || due_at(each) <= runtime::steady_time());
}

std::vector<const Consumer*> Schedule::choose(const std::vector<Consumer>& consumers, const feed::Progress& progress,
                                              const PassOptions& options) const {
    std::vector<const Consumer*> served;
    for (const Consumer& each : consumers) {
        if (!waits(each, progress, options)) continue;
        if (!served.empty() && precedes(each, *served.front())) served.clear();
        if (served.empty() || fit_together(*served.front(), each)) served.push_back(&each);
    }
    return served;
}

void Schedule::has_served(const Consumer& consumer, bool keeps_up) {
    if (keeps_up || consumer.is(Purpose::kAudit))
        served_at_[consumer.name] = runtime::steady_time();
    else
        served_at_.erase(consumer.name);
}

runtime::SteadyTime Schedule::next_due(const std::vector<Consumer>& consumers, std::int64_t events) const {
    runtime::SteadyTime next = 0;
    for (const Consumer& each : consumers) {
        if (!each.is_lazy() || !each.is(Purpose::kCurrent) || each.follows() || is_left_out(each) ||
            each.cursor.events >= events)
            continue;
        const runtime::SteadyTime due = std::max(due_at(each), runtime::steady_time() + kShortestDelay);
        next = next == 0 ? due : std::min(next, due);
    }
    return next;
}

runtime::SteadyTime Schedule::due_at(const Consumer& each) const {
    const auto served = served_at_.find(each.name);
    if (served == served_at_.end()) return 0;
    return served->second + (each.is(Purpose::kAudit) ? kBetweenAudits : each.definition->cadence);
}

}  // namespace projection
