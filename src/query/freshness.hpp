// Up to when a projection is complete.
#pragma once

#include <optional>
#include <string_view>

#include "postgres/types.hpp"

namespace query {

// As the snapshot shows it. Nothing: no reading was applied yet, or it is not known, as on a standby.
std::optional<TimestampTz> as_of(std::string_view projection, ::Snapshot snapshot);

}  // namespace query
