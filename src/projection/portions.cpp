// Learns from each pass how fast a projection consumes.
#include "projection/portions.hpp"

#include <algorithm>

namespace projection {

std::optional<std::int64_t> Portions::portion_of(std::string_view consumer, std::int64_t waiting, std::int64_t slice) const {
    const std::int64_t most = slice / kPortionsOfSlice;
    if (waiting > most) return std::nullopt;
    const auto found = served_.find(consumer);
    const Served served = found == served_.end() ? Served() : found->second;
    if (served.waiting > 0 && waiting >= served.waiting) return std::nullopt;
    return std::clamp(served.portion, std::int64_t{1}, std::max(most, std::int64_t{1}));
}

void Portions::has_served(std::string_view consumer, std::int64_t waiting, std::int64_t events, std::int64_t time) {
    auto found = served_.find(consumer);
    if (found == served_.end()) found = served_.emplace(consumer, Served()).first;
    Served& served = found->second;
    served.waiting = events < waiting ? waiting : 0;
    // A pass has a fixed cost, so the speed of a small one says little about a large one.
    if (2 * events < served.portion && time <= kPortionTime) return;
    const double in_time =
        static_cast<double>(events) * static_cast<double>(kPortionTime) / static_cast<double>(std::max<std::int64_t>(time, 1));
    const std::int64_t most = std::max(2 * served.portion, kFirstPortion);
    served.portion = std::max(kFirstPortion, static_cast<std::int64_t>(std::min(in_time, static_cast<double>(most))));
}

}  // namespace projection
