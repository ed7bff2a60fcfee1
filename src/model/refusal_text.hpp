// Tells the client in words why a reading is refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/judge.hpp"

namespace model {

struct RefusalText {
    int sqlstate = 0;
    std::string message, detail, hint;
};

// Returns the words about a reading that was refused for this reason (not kNone). They shorten long texts and spell out
// invisible characters.
RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, const Policy& policy,
                     Utf8Conversion to_utf8 = nullptr);
RefusalText describe(Refusal refusal, const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

// The words about a metrics object of too many members.
RefusalText describe_metric_count(std::string_view device_id, std::size_t count, std::size_t max_metrics);

}  // namespace model
