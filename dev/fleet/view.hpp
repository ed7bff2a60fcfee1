// What the dashboard found out in an interval, and how it is shown.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connection.hpp"
#include "totals.hpp"

namespace fleet {

struct Interval {
    double at = 0;                // seconds since the dashboard began
    double seconds = 0;           // how long it was
    std::int64_t sent = 0;        // readings that were answered
    std::int64_t lag_events = 0;  // the greatest of its looks
    std::vector<double> lag_ms;   // one a look
    std::vector<std::string> payloads;
};

class View {
public:
    virtual ~View() = default;
    virtual std::chrono::milliseconds interval() const = 0;
    virtual void begin(client::Connection& connection) = 0;
    virtual void show(const Interval& interval, client::Connection& connection) = 0;
};

// A line a second, for pipes and logs.
std::unique_ptr<View> plain_view(const Totals& totals);
// A table that is drawn again five times a second, for terminals.
std::unique_ptr<View> live_view(const Totals& totals);

// 1234567 as 1,234,567.
std::string grouped(std::int64_t value);

}  // namespace fleet
