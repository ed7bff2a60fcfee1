// Keeps a repeated message from flooding the server log. It is pure C++ and calls no server code.
#pragma once

#include <cstddef>
#include <map>

#include "runtime/steady_time.hpp"

namespace runtime {

class LogThrottle {
public:
    // True for the first message with this key, and then once a minute while such messages last. The caller writes the line.
    bool may_log(int key, SteadyTime now) {
        if (logged_at_.size() >= kMostRemembered && logged_at_.find(key) == logged_at_.end()) logged_at_.clear();
        const auto [entry, is_new] = logged_at_.try_emplace(key, now);
        if (!is_new && now - entry->second < kInterval) return false;
        entry->second = now;
        return true;
    }

private:
    static constexpr SteadyTime kInterval = 60 * 1'000'000;
    static constexpr std::size_t kMostRemembered = 32;

    std::map<int, SteadyTime> logged_at_;
};

}  // namespace runtime
