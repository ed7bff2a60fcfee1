// Judges what the door could not read, then the metrics as jsonb, and then the reading.
#include "ingest/policy.hpp"

#include <optional>

#include "device/device_policy.hpp"
#include "device/metric_rules.hpp"
#include "model/names.hpp"
#include "postgres/encoding.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

model::Policy policy_of_settings() {
    const runtime::Settings& settings = runtime::settings();
    model::Policy policy;
    policy.max_ahead = static_cast<model::Micros>(settings.max_ahead) * USECS_PER_SEC;
    if (settings.max_age > 0) policy.max_age = static_cast<model::Micros>(settings.max_age) * USECS_PER_SEC;
    policy.ahead_action = settings.ahead_action;
    policy.age_action = settings.age_action;
    policy.max_metrics = static_cast<std::size_t>(settings.max_metrics);
    return policy;
}

model::Policy current_policy() {
    device::refresh_metric_rules();
    device::refresh_device_policies();
    model::Policy policy = policy_of_settings();
    if (device::has_metric_limits()) policy.limits_of = device::limits_of;
    return policy;
}

}  // namespace

Policy::Policy(model::Micros received_at)
    : received_at_(received_at), policy_(current_policy()), to_utf8_(postgres::utf8_conversion()) {}

const model::Policy& Policy::policy_for(std::string_view device_id, model::Policy& own) const {
    if (!device::has_device_policies()) return policy_;
    // The id is not judged yet, and the session remembers each id that it looks up.
    if (device_id.size() > model::kMaxDeviceIdSize) return policy_;
    const std::optional<device::DevicePolicy> found = device::policy_of(device_id);
    if (!found) return policy_;
    own = policy_;
    own.is_of_device = true;
    own.max_ahead = found->max_ahead.value_or(policy_.max_ahead);
    own.ahead_action = found->ahead_action.value_or(policy_.ahead_action);
    if (found->max_age) own.max_age = *found->max_age > 0 ? found->max_age : std::nullopt;
    own.age_action = found->age_action.value_or(policy_.age_action);
    own.max_metrics = found->max_metrics.value_or(policy_.max_metrics);
    return own;
}

model::Decision Policy::judge(const Request& request, std::uint32_t input_index, std::vector<RefusedReading>& refused) const {
    const model::Micros received_at = request.received_at.value_or(received_at_);
    const auto refuse = [&](RefusedReading reading) {
        refused.push_back(std::move(reading));
        return model::Decision::kRefuse;
    };
    if (request.flaw != nullptr) return refuse(refuse_reading(input_index, *request.flaw));
    if (!request.has_device_id) return refuse(refuse_missing_device(input_index));
    if (request.metrics.excess_size > 0) return refuse(refuse_metrics_of_size(input_index, request));
    if (!is_readable(request.metrics)) return refuse(refuse_metrics(input_index, request));
    model::Policy own;
    const model::Policy& policy = policy_for(request.reading.device_id, own);
    const auto member_count = static_cast<std::size_t>(request.metrics.member_count);
    if (member_count > policy.max_metrics)  // members that are null count as well
        return refuse(refuse_reading(
            input_index, model::describe_metric_count(request.reading.device_id, member_count, policy.max_metrics)));
    const auto [decision, reason] = model::judge(request.reading, received_at, policy, to_utf8_);
    if (decision != model::Decision::kQuarantine && decision != model::Decision::kRefuse) return decision;
    refused.push_back(refuse_reading(input_index, model::describe(reason, request.reading, received_at, policy, to_utf8_)));
    refused.back().is_error = decision == model::Decision::kRefuse;
    return decision;
}

}  // namespace ingest
