// A line a second while readings stream in: what was answered, how far the read models are behind, what NOTIFY brought.
#pragma once

#include <atomic>
#include <exception>
#include <string>
#include <thread>

#include "totals.hpp"

namespace fleet {

// 1234567 as 1,234,567.
std::string grouped(std::int64_t value);

class Dashboard {
public:
    // Starts printing; connects by the PG* variables.
    explicit Dashboard(const Totals& totals);
    ~Dashboard() { stop(); }
    // Prints the rest of the last second and stops.
    void stop();
    std::int64_t notifications() const { return notifications_; }

private:
    void loop();

    const Totals& totals_;
    std::atomic<bool> stop_ = false;
    std::int64_t notifications_ = 0;
    std::thread thread_;
};

}  // namespace fleet
