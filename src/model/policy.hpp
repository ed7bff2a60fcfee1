// What an installation lets a reading be. The settings say it, and functions of the registry say it of single devices.
#pragma once

#include <cstddef>
#include <optional>

#include "model/identifiers.hpp"

namespace model {

// What becomes of a reading whose measured_at is too far from the time of receipt.
enum class LimitAction : int {
    kReject,      // it is refused
    kClamp,       // it is stored, and the time of receipt takes the place of measured_at
    kQuarantine,  // it is kept in the quarantine, and the client gets no error
};

// No policy allows a reading more metrics than this.
inline constexpr std::size_t kMostMetrics = 1024;

struct Policy {
    Micros max_ahead = 0;           // how far measured_at may be after the time of receipt
    std::optional<Micros> max_age;  // how far it may be before; nothing: any time since 1970 will do
    LimitAction ahead_action = LimitAction::kReject;
    LimitAction age_action = LimitAction::kReject;
    std::size_t max_metrics = 0;  // of the metrics object of one reading
};

inline constexpr Micros kEarliestMeasuredAt = -946'684'800'000'000;  // 1970-01-01 00:00 UTC, whatever the policy

}  // namespace model
