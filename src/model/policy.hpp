// What an installation lets a reading be. The settings say it, and functions of the registry say it of single devices.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>

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

// Between which values a metric may be, both included. An infinity is no limit.
struct MetricLimits {
    double minimum = -std::numeric_limits<double>::infinity();
    double maximum = std::numeric_limits<double>::infinity();
    std::string_view unit{};  // for people; empty: nothing was said

    bool allow(double value) const noexcept { return value >= minimum && value <= maximum; }
};

// Finds the limits of a metric; null: it has none. "temperature" and "humidity" are names here, too.
using MetricLimitsFinder = const MetricLimits* (*)(std::string_view metric) noexcept;

struct Policy {
    Micros max_ahead = 0;           // how far measured_at may be after the time of receipt
    std::optional<Micros> max_age;  // how far it may be before; nothing: any time since 1970 will do
    LimitAction ahead_action = LimitAction::kReject;
    LimitAction age_action = LimitAction::kReject;
    std::size_t max_metrics = 0;             // of the metrics object of one reading
    MetricLimitsFinder limits_of = nullptr;  // null: no metric has limits
    bool is_of_device = false;               // the device has a policy of its own; the words of a refusal say so
};

inline constexpr Micros kEarliestMeasuredAt = -946'684'800'000'000;  // 1970-01-01 00:00 UTC, whatever the policy

}  // namespace model
