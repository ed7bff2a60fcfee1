#include "dashboard.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "connection.hpp"

namespace fleet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLooksASecond = 40;
constexpr std::size_t kPayloadShown = 76;

// Cuts a text without cutting a character of it.
std::string shortened(const std::string& text, std::size_t limit) {
    if (text.size() <= limit) return text;
    std::size_t end = limit;
    while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

}  // namespace

std::string grouped(std::int64_t value) {
    std::string digits = std::to_string(value);
    for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}

Dashboard::Dashboard(const Totals& totals) : totals_(totals) {
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
        connection.prepare("lag", "SELECT max(lag_events), 1000 * max(lag_seconds) FROM telemetry.projection_status");
        std::printf("%6s %11s %11s %11s %9s %8s | %10s %8s | %s\n", "", "readings/s", "accepted", "duplicates", "rejected",
                    "late", "lag events", "lag ms", "NOTIFY telemetry_ingested (messages; one of them)");

        const auto begin = Clock::now();
        auto line_began = begin;
        std::int64_t sent_before = 0;
        for (bool last = false; !last;) {
            // The greatest lag of many looks: one look a second would mostly see nothing.
            std::int64_t lag_events = 0, messages = 0;
            double lag_ms = 0;
            std::string payload;
            bool payload_tells = false;
            for (int look = 0; look < kLooksASecond && !last; ++look) {
                last = stop_;
                if (!last)
                    std::this_thread::sleep_until(line_began + std::chrono::milliseconds(1000 / kLooksASecond) * (look + 1));
                const client::Result lag = connection.run_prepared("lag", {});
                lag_events = std::max(lag_events, lag.integer(0, 0));
                lag_ms = std::max(lag_ms, lag.number(0, 1));
                for (const client::Notification& n : connection.notifications()) {
                    ++messages;
                    // One that carries its events shows more than one that only points to its batch.
                    const bool tells = n.payload.find("\"events\"") != std::string::npos;
                    if (tells || !payload_tells) payload = n.payload;
                    payload_tells = payload_tells || tells;
                }
            }
            const auto now = Clock::now();
            const double seconds = std::chrono::duration<double>(now - line_began).count();
            const std::int64_t sent = totals_.sent;
            notifications_ += messages;
            if (last && sent == sent_before && messages == 0) break;
            std::printf(
                "%4.0f s %11s %11s %11s %9s %8s | %10s %8.1f | %3s  %s\n", std::chrono::duration<double>(now - begin).count(),
                grouped(static_cast<std::int64_t>(static_cast<double>(sent - sent_before) / seconds)).c_str(),
                grouped(totals_.accepted).c_str(), grouped(totals_.duplicates).c_str(), grouped(totals_.refused).c_str(),
                totals_.simulated ? grouped(totals_.late).c_str() : "-", grouped(lag_events).c_str(), lag_ms,
                grouped(messages).c_str(), shortened(payload, kPayloadShown).c_str());
            std::fflush(stdout);
            sent_before = sent;
            line_began = now;
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "the dashboard stopped: %s\n", error.what());
    }
}

}  // namespace fleet
