// Gives each kind of identifier a type of its own, so that no two kinds can be mixed up.
#pragma once

#include <compare>
#include <cstdint>

namespace model {

template <typename Value, typename Tag>
struct Identifier {
    Value value{};
    friend constexpr auto operator<=>(const Identifier&, const Identifier&) = default;
};

// Identity of an event, also for paging. Its order is not the order of commits.
using EventId = Identifier<std::int64_t, struct EventIdTag>;

// Number of a batch; model/batch_number.hpp says how these are given out.
using BatchId = Identifier<std::int64_t, struct BatchIdTag>;

// The span in which one place writes the log. Transaction numbers are comparable inside it only.
using Epoch = Identifier<std::int32_t, struct EpochTag>;

// 64-bit number of a top-level transaction.
using Xid = Identifier<std::uint64_t, struct XidTag>;

// Microseconds since 2000-01-01 00:00 UTC, like the server's timestamptz.
using Micros = std::int64_t;

}  // namespace model
