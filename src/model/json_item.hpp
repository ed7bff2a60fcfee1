// Reads one item of a JSON text: an object that is a reading.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <string_view>

#include "model/epoch_time.hpp"
#include "model/item_flaw.hpp"
#include "model/reading.hpp"

namespace model {

// Keeps its buffers from item to item.
class JsonItemReader {
public:
    // The reader takes the memory of what it reads from the resource, and gives none back.
    JsonItemReader(TimeUnit time_unit, std::pmr::memory_resource& memory);
    ~JsonItemReader();
    JsonItemReader(const JsonItemReader&) = delete;
    JsonItemReader& operator=(const JsonItemReader&) = delete;

    static constexpr std::size_t kNotFound = std::string_view::npos;

    // Reads the object at the start of the text, and goes on after a flaw as far as the object is JSON. Returns the size of the
    // object, possibly with the space behind it; kNotFound: it is not JSON, and flaw() says so or what was wrong before.
    std::size_t read(std::string_view text);

    // Of the last read(). With a flaw the reading has the device_id and the idempotency_key where these could be read, and
    // nothing else. Its texts and metrics are views into the text that was read and into the memory.
    const ItemFlaw& flaw() const noexcept;
    const Reading& reading() const noexcept;

private:
    struct Parser;

    std::unique_ptr<Parser> parser_;
};

}  // namespace model
