// Renders events as JSON, in UTF-8 and ASCII only, for clients outside the database.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.hpp"

namespace subscription {

class Payloads {
public:
    // Replaces the payloads by those of other events. In a database of another encoding than UTF8 it converts their texts. May
    // throw PgError.
    void render(std::span<const model::LoggedEvent* const> events);

    std::string_view of(std::size_t event) const noexcept {
        return std::string_view(text_).substr(starts_[event], starts_[event + 1] - starts_[event]);
    }

private:
    std::string text_;
    std::vector<std::size_t> starts_;
};

}  // namespace subscription
