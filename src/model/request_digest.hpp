// Tells whether a request is the same again, by a keyed digest of what the client sent. A command compares it when it finds the
// idempotency key taken.
#pragma once

#include <cstdint>

#include "model/reading.hpp"
#include "model/sip_hash.hpp"

namespace model {

// Covers measured_at, values, metrics and region as the client sent them, without the defaults that the server fills in. A
// field that was not sent differs from any value. Device and key are left out, because they decide which two requests are
// compared.
std::int64_t request_digest(const Secret& secret, const Reading& reading) noexcept;

}  // namespace model
