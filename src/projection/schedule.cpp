// Orders consumers by whether they keep up, and by how far they are behind.
#include "projection/schedule.hpp"

#include <algorithm>

namespace projection {
namespace {

// Before a lazy projection has something to do, the open batch is closed.
constexpr runtime::SteadyTime kShortestDelay = 20'000;

bool has_kept_up(const Consumer& each) noexcept {
    return each.is_lazy() && each.cursor.is_filled;
}

bool precedes(const Consumer& a, const Consumer& b) noexcept {
    return has_kept_up(a) != has_kept_up(b) ? has_kept_up(a) : a.cursor.batch < b.cursor.batch;
}

// Can one pass serve both?
bool fit_together(const Consumer& a, const Consumer& b) noexcept {
    return has_kept_up(a) == has_kept_up(b) && a.cursor.batch == b.cursor.batch && a.is_lazy() == b.is_lazy() &&
           !a.definition->is_handler() && !b.definition->is_handler();
}

}  // namespace

void Schedule::suspend(std::string_view consumer, bool is_suspended) {
    if (is_suspended)
        suspended_.emplace(consumer);
    else if (const auto found = suspended_.find(consumer); found != suspended_.end())
        suspended_.erase(found);
}

bool Schedule::waits(const Consumer& each, const feed::Progress& progress, const PassOptions& options) const {
    if (each.follows() || is_left_out(each)) return false;
    if (!each.is_lazy() || each.is_rebuild()) return true;
    return each.cursor.batch < progress.last_batch() && (options.serves_lazy || due_at(each) <= runtime::steady_time());
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
    if (keeps_up)
        served_at_[consumer.name] = runtime::steady_time();
    else
        served_at_.erase(consumer.name);
}

runtime::SteadyTime Schedule::next_due(const std::vector<Consumer>& consumers, std::int64_t events) const {
    runtime::SteadyTime next = 0;
    for (const Consumer& each : consumers) {
        if (!each.is_lazy() || each.follows() || is_left_out(each) || each.cursor.events >= events) continue;
        const runtime::SteadyTime due = std::max(due_at(each), runtime::steady_time() + kShortestDelay);
        next = next == 0 ? due : std::min(next, due);
    }
    return next;
}

runtime::SteadyTime Schedule::due_at(const Consumer& lazy) const {
    const auto served = served_at_.find(lazy.name);
    return served == served_at_.end() ? 0 : served->second + lazy.definition->cadence;
}

}  // namespace projection
