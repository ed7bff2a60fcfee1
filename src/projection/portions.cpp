// Learns from each pass how fast a projection consumes.
#include "projection/portions.hpp"

#include <algorithm>

namespace projection {

std::optional<std::int64_t> Portions::portion_of(std::string_view consumer, std::int64_t waiting, std::int64_t slice,
                                                 std::int64_t now) const {
    const std::int64_t most = slice / kPortionsOfSlice;
    if (waiting > most) return std::nullopt;
    const auto found = served_.find(consumer);
    const Served served = found == served_.end() ? Served() : found->second;
    if (served.behind_since != 0 && now - served.behind_since >= kLongestBehind) return std::nullopt;
    return std::clamp(served.portion, std::int64_t{1}, std::max(most, std::int64_t{1}));
}

void Portions::has_served(std::string_view consumer, std::int64_t events, bool keeps_up, std::int64_t begun_at,
                          std::int64_t now) {
    auto found = served_.find(consumer);
    if (found == served_.end()) found = served_.emplace(consumer, Served()).first;
    Served& served = found->second;
    if (keeps_up)
        served.behind_since = 0;
    else if (served.behind_since == 0)
        served.behind_since = begun_at;
    const std::int64_t time = std::max<std::int64_t>(now - begun_at, 1);
    // A pass has a fixed cost, so the speed of a small one says little about a large one.
    if (2 * events < served.portion && time <= kPortionTime) return;
    const double in_time = static_cast<double>(events) * static_cast<double>(kPortionTime) / static_cast<double>(time);
    const std::int64_t most = 2 * served.portion;
    served.portion = std::max(kFirstPortion, static_cast<std::int64_t>(std::min(in_time, static_cast<double>(most))));
}

}  // namespace projection
