// Puts one payload after the other into one buffer.
#include "subscription/payloads.hpp"

#include "model/event_json.hpp"
#include "postgres/encoding.hpp"
#include "subscription/utf8_event.hpp"

namespace subscription {
void Payloads::render(std::span<const model::LoggedEvent* const> events) {
    const auto convert = postgres::utf8_conversion();
    text_.clear();
    starts_.assign(1, 0);
    for (const model::LoggedEvent* event : events) {
        if (convert == nullptr)
            model::append_payload_json(text_, *event);
        else
            model::append_payload_json(text_, Utf8Event(*event, convert).get());
        starts_.push_back(text_.size());
    }
}

}  // namespace subscription
