// The quarantine keeps the readings that were refused, in telemetry.rejected_readings.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ingest/verdicts.hpp"

namespace ingest {

// Where the readings of a portion come from. It stands in each row.
struct Origin {
    const char* source;
    std::string token;          // of the statement
    std::uint64_t first_index;  // of the portion in the client's input, from 0
    bool has_index;             // the input may have several readings
};

// Stores the refused readings of a portion, in the caller's transaction. If the same reading was refused for the same reason
// before, its row counts one more delivery, unless another session has locked the row. A reading without identity always gets a
// row of its own.
void quarantine(const Verdicts& verdicts, std::span<const Request> requests, const Origin& origin);

}  // namespace ingest
