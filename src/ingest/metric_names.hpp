// The names of metrics that a portion brings along, and that telemetry.metric does not have yet.
#pragma once

#include <string_view>
#include <vector>

#include "event_log/candidate.hpp"

namespace ingest {

struct NewMetricNames {
    std::vector<std::string_view> names;  // ascending; they may be registered

    // For each candidate the name that must not be registered; empty: there is none. Empty as a whole where no candidate has
    // one.
    std::vector<std::string_view> excess_names;

    std::string_view excess_name_of(std::size_t candidate) const noexcept {
        return excess_names.empty() ? std::string_view{} : excess_names[candidate];
    }
};

// Looks for new names. A candidate with a name for which there is no room is only looked up in the log, so that a repeat of a
// stored reading is still a duplicate.
NewMetricNames find_new_metric_names(std::vector<event_log::Candidate>& candidates);

// Registers those that an accepted reading has, in the caller's transaction. It waits for no other session.
void register_accepted(const NewMetricNames& found, const std::vector<event_log::Candidate>& candidates);

}  // namespace ingest
