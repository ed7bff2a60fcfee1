// Shows what happens while readings stream in: the answers, how far the read models are behind, and the notifications.
#pragma once

#include <atomic>
#include <thread>

#include "totals.hpp"
#include "view.hpp"

namespace fleet {

class Dashboard {
public:
    // Starts to show; connects by the PG* variables.
    Dashboard(const Totals& totals, View& view);
    ~Dashboard() { stop(); }
    // Shows the rest of the last interval and stops.
    void stop();

private:
    void loop();

    const Totals& totals_;
    View& view_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

}  // namespace fleet
