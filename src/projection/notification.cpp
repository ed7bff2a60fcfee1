// Builds and sends notifications.
#include "projection/notification.hpp"

#include <algorithm>
#include <string_view>

#include "model/notification.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_ascii(const model::Event& event) {
    return is_ascii(event.device_id) && is_ascii(event.region) &&
           std::all_of(event.metrics.begin(), event.metrics.end(),
                       [](const model::Metric& each) { return is_ascii(each.name); });
}

// The model escapes UTF-8. In a database of another encoding it can tell only ASCII.
bool can_be_told(std::span<const model::Event> readings) {
    return GetDatabaseEncoding() == PG_UTF8 ||
           std::all_of(readings.begin(), readings.end(), [](const model::Event& each) { return is_ascii(each); });
}

}  // namespace

std::string notification_of(model::BatchId batch, model::Epoch epoch, std::int64_t events,
                            std::span<const model::Event> readings) {
    switch (runtime::settings().notify_payload) {
        case runtime::NotifyPayload::kOff:
            return {};
        case runtime::NotifyPayload::kPointer:
            return model::notification_payload(batch, epoch, events, {});
        case runtime::NotifyPayload::kEvents:
            if (!can_be_told(readings)) return model::notification_payload(batch, epoch, events, {});
            return model::notification_payload(batch, epoch, events, readings);
    }
    return {};
}

void notify(const char* payload) {
    Async_Notify("telemetry_ingested", payload);
}

}  // namespace projection
