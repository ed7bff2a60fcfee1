// Renders events in UTF-8.
#include "worker/event_source.hpp"

#include "model/event_json.hpp"
#include "postgres/encoding.hpp"
#include "relay/message_id.hpp"
#include "relay/subject.hpp"
#include "subscription/utf8_event.hpp"

namespace worker {
namespace {

void append_message(relay::Chunk& chunk, const model::LoggedEvent& event) {
    std::string& text = chunk.text();
    relay::append_subject(text, event.type, event.region, event.device_id);
    chunk.end_subject();
    std::string payload;
    model::append_event_json(payload, event);
    relay::append_message_id(text, event.event_id, payload);
    chunk.end_id();
    text += payload;
    chunk.end_payload();
}

}  // namespace

void EventSource::take(std::span<const model::LoggedEvent* const> events) {
    const auto convert = postgres::utf8_conversion();
    for (const model::LoggedEvent* event : events) {
        if (convert == nullptr)
            append_message(*chunk_, *event);
        else
            append_message(*chunk_, subscription::Utf8Event(*event, convert).get());
    }
}

}  // namespace worker
