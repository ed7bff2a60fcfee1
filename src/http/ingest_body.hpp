// The body of POST /telemetry, in the form that the JSON door takes: one JSON text.
#pragma once

#include <cstddef>
#include <string>
#include <variant>

#include "http/problem.hpp"
#include "http/request.hpp"

namespace http {

struct IngestBody {
    std::string json;
    bool is_single = false;  // one object, and no list
};

// Unpacks the body to at most `most_bytes`. The lines of application/x-ndjson become the items of an array, and the field
// Idempotency-Key becomes a member of a single object. Other kinds of bodies are refused: a page of another site could send
// them without asking first.
std::variant<IngestBody, Problem> ingest_body(const Request& request, std::size_t most_bytes);

}  // namespace http
