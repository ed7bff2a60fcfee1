// Is it the same request again? A keyed digest of what the client sent, compared when an idempotency key is found taken.
#pragma once

#include <cstdint>

#include "model/reading.hpp"
#include "model/sip_hash.hpp"

namespace model {

// Over measured_at, values, metrics and region as sent (a field not sent differs from any value), not over defaults the server
// fills in. Device and key are left out: they decide which two requests are compared.
std::int64_t request_digest(const Secret& secret, const Reading& reading) noexcept;

}  // namespace model
