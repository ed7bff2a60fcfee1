// A request is one reading as a client sent it, in the one form that all doors bring it into. This file is written wholly in P.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "model/reading.hpp"
#include "model/refusal_text.hpp"
#include "postgres/jsonb.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// The limit for the metrics of one reading, in bytes of the server's jsonb. A reading with 64 metrics, the longest names and
// numbers of double precision needs 10 kB. The log may hold larger ones, which earlier versions stored.
inline constexpr std::size_t kMaxMetricsSize = 65536;

// Metrics that a client sent as jsonb. All is empty where the client sent none, and where the door itself has read them.
struct SentMetrics {
    Jsonb* value;
    std::size_t excess_size;       // bytes of a value that is too large to be read; 0 otherwise
    postgres::NumbersShape shape;  // of a value that was read
    const char* offender;          // C string: the member that is to blame for the shape; null: none is
    int member_count;              // with members that are null
};

// Plain data. The views and pointers live as long as the door keeps the input.
struct Request {
    model::Reading reading;
    bool has_device_id;
    SentMetrics metrics;
    const model::RefusalText* flaw;            // why the door could not read the item; null: it could
    std::string_view item;                     // the item as it was sent, where the door could not read it
    std::optional<model::Micros> received_at;  // of a reading that was received earlier and is sent again; nothing: now
};

// Takes a value of type jsonb as the metrics. Null, and the JSON value null: none.
void set_metrics(Request& request, Jsonb* sent);

}  // namespace ingest
