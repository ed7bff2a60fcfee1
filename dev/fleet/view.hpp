// The figures that the dashboard found in an interval, and the views that show them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connection.hpp"
#include "far_side.hpp"
#include "totals.hpp"

namespace fleet {

struct Interval {
    double at = 0;                // seconds since the dashboard began
    double seconds = 0;           // the length of the interval
    std::int64_t sent = 0;        // readings that were answered
    std::int64_t lag_events = 0;  // the greatest of its looks
    std::vector<double> lag_ms;   // one a look
    std::vector<std::string> payloads;
    RelayFigures relay;
};

class View {
public:
    virtual ~View() = default;
    virtual std::chrono::milliseconds interval() const = 0;
    virtual void begin(client::Connection& connection) = 0;
    virtual void show(const Interval& interval, client::Connection& connection) = 0;
};

// Prints a line a second, for pipes and logs.
std::unique_ptr<View> plain_view(const Totals& totals);
// Draws a table five times a second, for terminals.
std::unique_ptr<View> live_view(const Totals& totals);

// Writes 1234567 as 1,234,567.
std::string grouped(std::int64_t value);

}  // namespace fleet
