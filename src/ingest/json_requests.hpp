// Makes requests of a JSON text.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/request.hpp"
#include "model/json_readings.hpp"

namespace ingest {

// The requests lead into this object, and into the text. The text is in the encoding of the database.
class JsonRequests {
public:
    JsonRequests(std::string_view sent, model::TimeUnit time_unit);

    // Why the text as a whole is refused.
    std::optional<model::RefusalText> refusal() const;

    std::span<const Request> requests() const noexcept { return requests_; }

private:
    std::string_view encoded(std::string_view utf8, Request& request);

    std::optional<std::string> utf8_;  // the text, where the database has another encoding
    model::JsonReadings readings_;
    // In the encoding of the database, where that is another one.
    std::deque<std::string> texts_;
    std::deque<model::RefusalText> refusals_;
    std::deque<std::vector<model::Metric>> metrics_;
    std::vector<Request> requests_;
};

}  // namespace ingest
