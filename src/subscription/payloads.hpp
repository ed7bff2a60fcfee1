// Renders events as JSON, in UTF-8 and ASCII only, for clients outside the database.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace subscription {

// Each payload is a text of the server's, with its header.
class Payloads {
public:
    // Replaces the payloads by those of other events. In a database of another encoding than UTF8 it converts their texts. May
    // throw PgError.
    void render(std::span<const model::LoggedEvent* const> events);

    // They are valid until the next rendering.
    Datum datum(std::size_t event) const noexcept { return PointerGetDatum(text_of(event)); }
    std::string_view of(std::size_t event) const noexcept { return postgres::view_of(text_of(event)); }

private:
    const text* text_of(std::size_t event) const noexcept {
        return reinterpret_cast<const text*>(texts_.data() + starts_[event]);
    }

    std::string texts_;
    std::vector<std::size_t> starts_;
};

}  // namespace subscription
