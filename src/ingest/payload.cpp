// Building payloads. Written wholly in P.
#include "ingest/payload.hpp"

#include "postgres/jsonb.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

using postgres::JsonbBuilder;

constexpr std::size_t kMostTextBytes = 4096;
constexpr std::size_t kMostJsonBytes = 64 * 1024;

// Of a member that was cut or left out: how many bytes it had.
struct Truncated {
    const char* name;
    std::size_t bytes;
};
struct AllTruncated {
    Truncated members[4];
    int count;
};

void add_text(JsonbBuilder& payload, const char* name, const text* value, AllTruncated& truncated) {
    if (value == nullptr) return;
    std::string_view kept = postgres::view_of(value);
    if (kept.size() > kMostTextBytes) {
        truncated.members[truncated.count++] = {name, kept.size()};
        const int clipped = pg_mbcliplen(kept.data(), static_cast<int>(kept.size()), static_cast<int>(kMostTextBytes));
        kept = kept.substr(0, static_cast<std::size_t>(clipped));
    }
    postgres::add_text(payload, name, kept);
}

void add_json(JsonbBuilder& payload, const char* name, const Jsonb* json, AllTruncated& truncated) {
    if (json == nullptr) return;
    if (postgres::size_of(json) > kMostJsonBytes)
        truncated.members[truncated.count++] = {name, postgres::size_of(json)};
    else
        postgres::add_jsonb(payload, name, json);
}

void add_truncated(JsonbBuilder& payload, const AllTruncated& truncated) {
    if (truncated.count == 0) return;
    postgres::open_object(payload, "truncated");
    for (const Truncated* each = truncated.members; each < truncated.members + truncated.count; ++each)
        postgres::add_integer(payload, each->name, static_cast<std::int64_t>(each->bytes));
    postgres::close_object(payload);
}

}  // namespace

Jsonb* payload_of(const Request& request) {
    AllTruncated truncated{};
    JsonbBuilder payload{};
    postgres::open_object(payload);
    add_text(payload, "device_id", request.device_id, truncated);
    if (request.has_measured_at) postgres::add_time(payload, "measured_at", request.measured_at);
    if (request.has_temperature) postgres::add_double(payload, "temperature", request.temperature);
    if (request.has_humidity) postgres::add_double(payload, "humidity", request.humidity);
    add_text(payload, "idempotency_key", request.idempotency_key, truncated);
    add_json(payload, "metrics", request.metrics, truncated);
    add_text(payload, "region", request.region, truncated);
    add_truncated(payload, truncated);
    return postgres::finish_object(payload);
}

}  // namespace ingest
