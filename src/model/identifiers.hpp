// Identifiers as types of their own, so that no two of them can be mixed up.
#pragma once

#include <compare>
#include <cstdint>

namespace model {

template <typename Value, typename Tag>
struct Identifier {
    Value value{};
    friend constexpr auto operator<=>(const Identifier&, const Identifier&) = default;
};

using EventId =
    Identifier<std::int64_t, struct EventIdTag>;  // identity and paging of an event; its order is not the order of commits
using BatchId = Identifier<std::int64_t, struct BatchIdTag>;  // model/batch_number.hpp says how they are given out
using Epoch = Identifier<std::int32_t, struct EpochTag>;      // place and time span in which transaction numbers are comparable
using Xid = Identifier<std::uint64_t, struct XidTag>;         // 64-bit number of a top-level transaction
using Micros = std::int64_t;  // microseconds since 2000-01-01 00:00 UTC, the server's timestamptz

}  // namespace model
