#include "dashboard.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>

#include "connection.hpp"

namespace fleet {
namespace {

using Clock = std::chrono::steady_clock;

// The lag comes from many looks, because one look a second would mostly see nothing.
constexpr auto kLook = std::chrono::milliseconds(25);

}  // namespace

Dashboard::Dashboard(const Totals& totals, View& view) : totals_(totals), view_(view) {
    thread_ = std::thread([this] { loop(); });
}

void Dashboard::stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void Dashboard::loop() {
    try {
        client::Connection connection("");
        connection.run("LISTEN telemetry_ingested");
        connection.prepare(
            "lag", "SELECT max(lag_events), 1000 * max(lag_seconds) FROM telemetry.projection_status WHERE cadence = '0'");
        view_.begin(connection);
        FarSide far_side;
        far_side.begin(connection);

        const auto begin = Clock::now();
        auto interval_began = begin;
        std::int64_t sent_before = 0;
        for (bool last = false; !last;) {
            Interval found;
            for (int look = 0; look < view_.interval() / kLook && !last; ++look) {
                last = stop_;
                if (!last) std::this_thread::sleep_until(interval_began + kLook * (look + 1));
                const client::Result lag = connection.run_prepared("lag", {});
                found.lag_events = std::max(found.lag_events, lag.integer(0, 0));
                found.lag_ms.push_back(lag.number(0, 1));
                for (const client::Notification& n : connection.notifications()) found.payloads.push_back(n.payload);
            }
            found.relay = far_side.look(connection);
            const auto now = Clock::now();
            const std::int64_t sent = totals_.sent;
            found.at = std::chrono::duration<double>(now - begin).count();
            found.seconds = std::chrono::duration<double>(now - interval_began).count();
            found.sent = sent - sent_before;
            // A rate over a moment says nothing, so a short rest goes with the last interval's line or not at all.
            if (!last || found.sent > 0 || !found.payloads.empty()) view_.show(found, connection);
            sent_before = sent;
            interval_began = now;
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "the dashboard stopped: %s\n", error.what());
    }
}

}  // namespace fleet
