// The policy of this installation, as it judges the requests of one command.
#pragma once

#include <cstdint>
#include <vector>

#include "ingest/refused.hpp"
#include "ingest/request.hpp"
#include "model/judge.hpp"

namespace ingest {

class Policy {
public:
    // Takes the settings and the rules of metrics and devices as they are now.
    explicit Policy(model::Micros received_at);

    // Judges a request. The reason of kQuarantine and kRefuse is added to `refused`, under this index.
    model::Decision judge(const Request& request, std::uint32_t input_index, std::vector<RefusedReading>& refused) const;

private:
    // The policy for the readings of a device. `own` is where it is made if the device has one of its own.
    const model::Policy& policy_for(std::string_view device_id, model::Policy& own) const;

    model::Micros received_at_;
    model::Policy policy_;
    model::Utf8Conversion to_utf8_;
};

}  // namespace ingest
