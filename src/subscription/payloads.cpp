// Puts one payload after the other into one buffer.
#include "subscription/payloads.hpp"

#include "model/event_json.hpp"
#include "postgres/encoding.hpp"
#include "subscription/utf8_event.hpp"

#include "postgres/pg.hpp"

namespace subscription {
void Payloads::render(std::span<const model::LoggedEvent* const> events) {
    const auto convert = postgres::utf8_conversion();
    texts_.clear();
    starts_.clear();
    for (const model::LoggedEvent* event : events) {
        const std::size_t start = INTALIGN(texts_.size());
        texts_.resize(start + VARHDRSZ);
        if (convert == nullptr)
            model::append_payload_json(texts_, *event);
        else
            model::append_payload_json(texts_, Utf8Event(*event, convert).get());
        SET_VARSIZE(texts_.data() + start, texts_.size() - start);
        starts_.push_back(start);
    }
}

}  // namespace subscription
