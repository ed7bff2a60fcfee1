// Builds and sends notifications.
#include "projection/notification.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "event_log/window_reader.hpp"
#include "model/notification.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr std::int64_t kMostTold = 100;   // events; so many never fit into a payload
constexpr std::int64_t kMostRows = 1000;  // in the log, rows of other epochs may lie between them

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_ascii(const model::Event& event) {
    return is_ascii(event.device_id) && is_ascii(event.region) && is_ascii(event.type) &&
           std::all_of(event.metrics.begin(), event.metrics.end(),
                       [](const model::Metric& each) { return is_ascii(each.name); });
}

// The model escapes UTF-8, but not in details. In a database of another encoding it can tell only ASCII.
bool can_be_told(std::span<const model::Event> events) {
    const bool is_utf8 = GetDatabaseEncoding() == PG_UTF8;
    return std::all_of(events.begin(), events.end(),
                       [is_utf8](const model::Event& each) { return is_ascii(each.details) && (is_utf8 || is_ascii(each)); });
}

}  // namespace

std::string notification_of(const feed::Batch& batch, ::Snapshot snapshot) {
    using runtime::NotifyPayload;
    const NotifyPayload wanted = runtime::settings().notify_payload;
    if (wanted == NotifyPayload::kOff) return {};
    if (wanted == NotifyPayload::kPointer || batch.events > kMostTold)
        return model::notification_payload(batch.batch_id, batch.epoch, batch.events, {});
    event_log::WindowReader reader(model::window_between(batch.from, batch.to), batch.epoch, snapshot,
                                   event_log::Wanted::kEvents);
    const event_log::Block block = reader.read(kMostRows);
    const bool is_whole = reader.at_end() && can_be_told(block.given);
    std::string payload = model::notification_payload(batch.batch_id, batch.epoch, batch.events,
                                                      is_whole ? block.given : std::span<const model::Event>{});
    reader.close();
    return payload;
}

void notify(const char* payload) {
    Async_Notify("telemetry_ingested", payload);
}

}  // namespace projection
