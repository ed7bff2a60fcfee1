// Builds payloads of notifications, and drops the events as soon as they exceed the limit.
#include "model/notification.hpp"

#include <string_view>

#include "model/event_json.hpp"
#include "model/json_text.hpp"

namespace model {

std::string notification_payload(BatchId batch, Epoch epoch, std::int64_t count, std::span<const Event> events,
                                 std::size_t limit) {
    std::string json = "{\"v\":";
    append_json_number(json, std::int64_t{kNotificationVersion});
    json += ",\"batch\":";
    append_json_number(json, batch.value);
    json += ",\"epoch\":";
    append_json_number(json, std::int64_t{epoch.value});
    json += ",\"count\":";
    append_json_number(json, count);
    const auto pointer_size = json.size();

    if (!events.empty() && static_cast<std::int64_t>(events.size()) == count) {
        json += ",\"events\":";
        char before = '[';
        for (const Event& event : events) {
            json += before;
            append_event_json(json, event);
            before = ',';
            if (json.size() + std::string_view("]}").size() > limit) {
                json.resize(pointer_size);
                return json += '}';
            }
        }
        json += ']';
    }
    return json += '}';
}

}  // namespace model
