// The hot path asks the memory of the session for each name, and ends there.
#include "ingest/metric_names.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_set>

#include "device/metric_names.hpp"
#include "device/metric_rules.hpp"

namespace ingest {
namespace {

using device::MetricName;
using event_log::Candidate;

// The distinct names that the session does not know, ascending.
std::vector<MetricName> unknown_names(const std::vector<Candidate>& candidates) {
    std::unordered_set<std::string_view> distinct;
    for (const Candidate& each : candidates)
        for (const model::Metric& metric : each.reading.metrics)
            if (!device::is_known_metric(metric.name)) distinct.insert(metric.name);
    std::vector<MetricName> names;
    for (const std::string_view each : distinct) names.push_back({each});
    std::ranges::sort(names, {}, &MetricName::name);
    return names;
}

// What is to become of a name that the session did not know.
struct Wanted {
    std::string_view name;
    bool is_admitted;
};

bool is_new(const std::vector<Wanted>& wanted, std::string_view name, std::size_t& index) {
    const auto found = std::ranges::lower_bound(wanted, name, {}, &Wanted::name);
    index = static_cast<std::size_t>(found - wanted.begin());
    return found != wanted.end() && found->name == name && !found->is_admitted;
}

// Admits all new names of a reading, or none. Returns a name for which there is no room; empty: there is none.
std::string_view admit(const model::Reading& reading, std::vector<Wanted>& wanted, std::uint64_t& room) {
    std::vector<std::size_t> admitted;
    std::size_t index = 0;
    for (const model::Metric& metric : reading.metrics) {
        if (!is_new(wanted, metric.name, index)) continue;
        if (admitted.size() == room) return metric.name;
        admitted.push_back(index);
    }
    for (const std::size_t each : admitted) wanted[each].is_admitted = true;
    room -= admitted.size();
    return {};
}

}  // namespace

NewMetricNames find_new_metric_names(std::vector<Candidate>& candidates) {
    NewMetricNames found;
    if (!device::registers_metrics()) return found;
    std::vector<MetricName> names = unknown_names(candidates);
    if (names.empty()) return found;
    std::uint64_t room = device::find_metrics(names);
    std::vector<Wanted> wanted;
    for (const MetricName& each : names)
        if (each.standing == device::MetricStanding::kUnknown) wanted.push_back({each.name, false});
    for (std::size_t i = 0; i < candidates.size() && !wanted.empty(); ++i) {
        const std::string_view excess =
            candidates[i].is_only_looked_up ? std::string_view{} : admit(candidates[i].reading, wanted, room);
        if (excess.empty()) continue;
        found.excess_names.resize(candidates.size());
        found.excess_names[i] = excess;
        candidates[i].is_only_looked_up = true;
    }
    for (const Wanted& each : wanted)
        if (each.is_admitted) found.names.push_back(each.name);
    return found;
}

void register_accepted(const NewMetricNames& found, const std::vector<Candidate>& candidates) {
    if (found.names.empty()) return;
    std::vector<bool> is_accepted(found.names.size());
    for (const Candidate& each : candidates) {
        if (each.outcome != event_log::AppendOutcome::kAccepted) continue;
        for (const model::Metric& metric : each.reading.metrics) {
            const auto name = std::ranges::lower_bound(found.names, metric.name);
            if (name != found.names.end() && *name == metric.name) is_accepted[name - found.names.begin()] = true;
        }
    }
    std::vector<std::string_view> accepted;
    for (std::size_t i = 0; i < is_accepted.size(); ++i)
        if (is_accepted[i]) accepted.push_back(found.names[i]);
    if (!accepted.empty()) device::register_metrics(accepted);
}

}  // namespace ingest
