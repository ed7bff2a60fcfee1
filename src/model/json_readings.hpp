// Turns one JSON text, which is an object or an array of objects, into readings.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <vector>

#include "model/epoch_time.hpp"
#include "model/reading.hpp"
#include "model/refusal_text.hpp"

namespace model {

struct JsonItem {
    std::string_view text;  // as it was sent, without the space around it
    // Of a refused item it has at most the device_id and the idempotency_key. The device_id is empty where it could not be
    // read.
    Reading reading;
    const RefusalText* refusal = nullptr;  // null: the item is a reading. Its values are still to be validated.
};

// A bad item spoils no other one. Only a text that is no list of items is refused as a whole.
//
// The views of the items lead into the text and into this object, so both must outlive them. The text is in UTF-8; an item that
// is not is refused. The memory is proportional to the text and to the number of items. Throws std::bad_alloc only.
class JsonReadings {
public:
    // Of a text with more than `max_items` items none is read.
    JsonReadings(std::string_view text, TimeUnit time_unit, std::size_t max_items);
    JsonReadings(const JsonReadings&) = delete;
    JsonReadings& operator=(const JsonReadings&) = delete;

    // Why the whole text is refused (kInvalidBatch, kBatchTooLarge). There are no items then.
    const std::optional<RefusalText>& refusal() const noexcept { return refusal_; }

    const std::vector<JsonItem>& items() const noexcept { return items_; }

private:
    class Reader;

    std::pmr::monotonic_buffer_resource memory_;
    std::vector<JsonItem> items_;
    std::deque<RefusalText> refusals_;  // of items
    std::optional<RefusalText> refusal_;
};

}  // namespace model
