#include <algorithm>
#include <cstdio>

#include "view.hpp"

namespace fleet {
namespace {

constexpr std::size_t kPayloadShown = 76;

// Cuts a text between two characters.
std::string shortened(const std::string& text, std::size_t limit) {
    if (text.size() <= limit) return text;
    std::size_t end = limit;
    while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

class PlainView : public View {
public:
    explicit PlainView(const Totals& totals) : totals_(totals) {}

    std::chrono::milliseconds interval() const override { return std::chrono::seconds(1); }

    void begin(client::Connection&) override {
        std::printf("%6s %11s %11s %11s %9s %8s | %10s %8s | %s\n", "", "readings/s", "accepted", "duplicates", "rejected",
                    "late", "lag events", "lag ms", "NOTIFY telemetry_ingested (messages; one of them)");
    }

    void show(const Interval& i, client::Connection&) override {
        std::string payload;
        for (const std::string& one : i.payloads) {
            // A notification with its events shows more than one that only points to its batch.
            const bool tells = one.find("\"events\"") != std::string::npos;
            if (tells || payload.find("\"events\"") == std::string::npos) payload = one;
        }
        const double lag_ms = i.lag_ms.empty() ? 0 : *std::max_element(i.lag_ms.begin(), i.lag_ms.end());
        std::printf("%4.0f s %11s %11s %11s %9s %8s | %10s %8.1f | %3zu  %s\n", i.at,
                    grouped(static_cast<std::int64_t>(static_cast<double>(i.sent) / i.seconds)).c_str(),
                    grouped(totals_.accepted).c_str(), grouped(totals_.duplicates).c_str(), grouped(totals_.refused).c_str(),
                    totals_.simulated ? grouped(totals_.late).c_str() : "-", grouped(i.lag_events).c_str(), lag_ms,
                    i.payloads.size(), shortened(payload, kPayloadShown).c_str());
        const RelayFigures& relay = i.relay;
        if (relay.has_nats)
            std::printf("        NATS  %s: acknowledged %s, waiting %s; a subscriber has %s: %s %s\n", relay.nats_state.c_str(),
                        grouped(relay.nats_acknowledged).c_str(), grouped(relay.nats_lag).c_str(),
                        grouped(relay.nats_received).c_str(), relay.subject.c_str(),
                        shortened(relay.payload, kPayloadShown).c_str());
        if (relay.has_redis)
            std::printf("        Redis %s: values set %s, waiting %s; GET %s: %s\n", relay.redis_state.c_str(),
                        grouped(relay.redis_sent).c_str(), grouped(relay.redis_lag).c_str(), relay.key.c_str(),
                        shortened(relay.value, kPayloadShown).c_str());
        std::fflush(stdout);
    }

private:
    const Totals& totals_;
};

}  // namespace

std::string grouped(std::int64_t value) {
    std::string digits = std::to_string(value);
    for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}

std::unique_ptr<View> plain_view(const Totals& totals) {
    return std::make_unique<PlainView>(totals);
}

}  // namespace fleet
