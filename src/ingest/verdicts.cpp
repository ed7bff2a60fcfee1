// The path takes five steps: it judges, finds the devices, identifies, appends and counts.
#include "ingest/verdicts.hpp"

#include <algorithm>
#include <bit>
#include <string_view>

#include "device/device_policy.hpp"
#include "device/registry.hpp"
#include "event_log/append.hpp"
#include "ingest/admission.hpp"
#include "ingest/metric_names.hpp"
#include "ingest/policy.hpp"
#include "model/request_digest.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/text.hpp"
#include "runtime/settings.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

using event_log::AppendOutcome;
using event_log::Candidate;

// Lets a cancel through once in 1,024 iterations. Loops over readings call it, as they may be long.
void serve_interrupts(std::uint32_t iteration) {
    if (iteration % 1024 == 1023) postgres::guarded([] { CHECK_FOR_INTERRUPTS(); });
}

// The metrics as they are stored. Members that are null say nothing and are left out.
const Jsonb* kept_metrics(const SentMetrics& sent, std::size_t count) {
    if (sent.value == nullptr || count == 0) return nullptr;
    if (sent.member_count == static_cast<int>(count)) return sent.value;
    return postgres::guarded([&sent] { return postgres::without_nulls(JsonbPGetDatum(sent.value)); });
}

Candidate candidate_of(const Request& request, bool is_clamped, model::Micros received_at, std::uint32_t input_index) {
    Candidate candidate{};
    candidate.reading = request.reading;
    candidate.region = request.reading.region;
    candidate.metrics = kept_metrics(request.metrics, request.reading.metrics.size());
    const model::Micros filled_in = request.received_at.value_or(received_at);
    candidate.measured_at = is_clamped ? filled_in : request.reading.measured_at.value_or(filled_in);
    candidate.input_index = input_index;
    return candidate;
}

// Step 1. An acceptable reading becomes a candidate. Every other reading is refused.
void judge(std::span<const Request> requests, Verdicts& verdicts) {
    const Policy policy(verdicts.stamp.received_at);
    verdicts.candidates.reserve(requests.size());
    for (std::uint32_t i = 0; i < requests.size(); ++i) {
        serve_interrupts(i);
        const model::Decision decision = policy.judge(requests[i], i, verdicts.refused);
        if (decision == model::Decision::kAccept || decision == model::Decision::kClamp)
            verdicts.candidates.push_back(
                candidate_of(requests[i], decision == model::Decision::kClamp, verdicts.stamp.received_at, i));
    }
}

// Finds the entry of a device by its hash. A place holds the number of an entry, counted from 1; 0: it is free.
class EntryTable {
public:
    explicit EntryTable(std::size_t most_entries) : places_(std::bit_ceil(2 * most_entries)) {}

    // Returns the index of the device's entry, and makes the entry if it is missing.
    std::uint32_t find_or_add(std::string_view device_id, std::vector<device::Entry>& entries) {
        std::size_t at = postgres::hash_of(device_id) & (places_.size() - 1);
        while (places_[at] != 0) {
            if (entries[places_[at] - 1].device_id == device_id) return places_[at] - 1;
            at = (at + 1) & (places_.size() - 1);
        }
        entries.push_back(device::Entry{device_id, {}, 0, device::Standing::kUnknown, {}});
        places_[at] = static_cast<std::uint32_t>(entries.size());
        return places_[at] - 1;
    }

private:
    std::vector<std::uint32_t> places_;  // a power of two, at least twice as many as entries
};

// Makes one entry for each device. `entry_of_candidate[i]` becomes the index of candidate i's entry.
std::vector<device::Entry> entries_of(const std::vector<Candidate>& candidates,
                                      std::vector<std::uint32_t>& entry_of_candidate) {
    std::vector<device::Entry> entries;
    entry_of_candidate.resize(candidates.size());
    EntryTable table(candidates.size());
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
        const Candidate& each = candidates[i];
        const bool is_same_device = i > 0 && candidates[i - 1].reading.device_id == each.reading.device_id;
        const std::uint32_t number =
            is_same_device ? entry_of_candidate[i - 1] : table.find_or_add(each.reading.device_id, entries);
        if (!entries[number].proposed_region) entries[number].proposed_region = each.region;
        ++entries[number].readings;
        entry_of_candidate[i] = number;
    }
    return entries;
}

constexpr double kMostBurst = 1e9;

// The quota of a device that has one of its own. What its policy leaves open, the settings say.
std::optional<model::Quota> own_quota(std::string_view device_id) {
    const std::optional<device::DevicePolicy> policy = device::policy_of(device_id);
    if (!policy || (!policy->rate && !policy->burst)) return std::nullopt;
    if (policy->burst == 0) return model::Quota{};  // any number at once is no limit
    const runtime::Settings& settings = runtime::settings();
    const double burst = std::clamp(policy->burst.value_or(settings.device_burst), 1.0, kMostBurst);
    return model::Quota{policy->rate.value_or(settings.device_rate), static_cast<std::uint32_t>(burst)};
}

// Admits the readings of the portion, or throws.
void admit(const std::vector<device::Entry>& entries, Admission& admission) {
    const bool has_own = device::has_device_policies();
    if (!has_limits() && !has_own) return;
    std::vector<DeviceReadings> devices;
    devices.reserve(entries.size());
    for (const device::Entry& each : entries)
        devices.push_back({each.device_id, each.readings, has_own ? own_quota(each.device_id) : std::nullopt});
    admission.admit(devices);
}

// Step 2. The quotas admit the call. A reading without a region gets the one of the registry. A repeat of a reading that was
// stored before its device was retired is still a duplicate. So the log only looks up the readings of a device that may not
// send, and `standings` says why it stores none of them. Without an admission, nothing is charged and no device registered: an
// unknown device stays unknown, and its reading counts as one that would register it if the registry has room.
void find_devices(Verdicts& verdicts, std::vector<device::Standing>& standings, Admission* admission) {
    std::vector<Candidate>& candidates = verdicts.candidates;
    if (candidates.empty()) return;
    std::vector<std::uint32_t> entry_of_candidate;
    std::vector<device::Entry> entries = entries_of(candidates, entry_of_candidate);
    const bool may_register = admission != nullptr;
    if (may_register) admit(entries, *admission);
    const bool auto_register = runtime::settings().auto_register;
    device::resolve(entries.data(), static_cast<std::uint32_t>(entries.size()), auto_register && may_register);
    if (auto_register && !may_register) device::mark_without_room(entries);
    standings.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const device::Entry& entry = entries[entry_of_candidate[i]];
        standings[i] = entry.standing;
        const bool is_registered_by_it =
            entry.standing == device::Standing::kRegistering || (entry.standing == device::Standing::kUnknown && !may_register);
        const bool may_send = entry.standing == device::Standing::kActive || (is_registered_by_it && auto_register);
        candidates[i].is_only_looked_up = !may_send;
        if (!candidates[i].region) candidates[i].region = entry.region;
    }
}

// Step 3. The identity and the digest of a reading depend only on what the client sent.
void identify(Verdicts& verdicts) {
    const model::Secret& secret = verdicts.stamp.opened.secret;
    std::uint32_t iteration = 0;
    for (Candidate& each : verdicts.candidates) {
        serve_interrupts(iteration++);
        each.request_digest = model::request_digest(secret, each.reading);
        each.has_identity = each.reading.idempotency_key || each.reading.measured_at;
        if (each.reading.idempotency_key)
            each.fingerprint = model::keyed_fingerprint(secret, each.reading.device_id, *each.reading.idempotency_key, 0);
        else if (each.reading.measured_at)
            each.fingerprint = model::derived_fingerprint(secret, each.reading, 0);
    }
}

// Step 5. The verdict of the log is known. Readings that it did not store join the refused ones, and all are counted.
void count_verdicts(Verdicts& verdicts, const std::vector<device::Standing>& standings, const NewMetricNames& metric_names) {
    for (std::size_t i = 0; i < verdicts.candidates.size(); ++i) {
        const Candidate& each = verdicts.candidates[i];
        switch (each.outcome) {
            case AppendOutcome::kAccepted:
                ++verdicts.accepted;
                if (!ItemPointerIsValid(&each.tid)) ++verdicts.repeats;
                break;
            case AppendOutcome::kDuplicate:
                ++verdicts.duplicates;
                break;
            case AppendOutcome::kConflict:
                ++verdicts.conflicts;
                verdicts.refused.push_back(refuse_conflict(each));
                break;
            case AppendOutcome::kAbsent:
                verdicts.refused.push_back(metric_names.excess_name_of(i).empty()
                                               ? refuse_device(each, standings[i])
                                               : refuse_metric_name(each, metric_names.excess_name_of(i)));
                break;
            case AppendOutcome::kUndecided:
                throw postgres::Error(ERRCODE_INTERNAL_ERROR, "a reading was left undecided");
        }
    }
    verdicts.rejected = static_cast<std::uint32_t>(verdicts.refused.size()) - verdicts.conflicts;
    std::ranges::sort(verdicts.refused, {}, &RefusedReading::input_index);
}

void raise_first(const Verdicts& verdicts, std::uint32_t first_index, bool is_batch, Progress& progress) {
    const auto first = std::ranges::find_if(verdicts.refused, &RefusedReading::is_error);
    if (first == verdicts.refused.end()) return;
    progress.blamed_conflicts = verdicts.conflicts;
    progress.blamed_rejected = verdicts.refused.size() - verdicts.conflicts;
    raise(*first, first_index, is_batch);
}

}  // namespace

Verdicts decide(const Portion& portion, Progress& progress) {
    const auto raise_if_wanted = [&](const Verdicts& verdicts) {
        if (portion.on_error == OnError::kRaise) raise_first(verdicts, portion.first_index, portion.is_batch, progress);
    };
    Verdicts verdicts;
    verdicts.received = static_cast<std::uint32_t>(portion.requests.size());
    verdicts.stamp.opened = event_log::open_for_writing();
    verdicts.stamp.received_at = GetCurrentTimestamp();
    verdicts.stamp.is_portion = portion.is_portion;
    judge(portion.requests, verdicts);
    raise_if_wanted(verdicts);
    std::vector<device::Standing> standings;
    find_devices(verdicts, standings, &portion.admission);
    const NewMetricNames metric_names = find_new_metric_names(verdicts.candidates);
    identify(verdicts);
    // Step 4. The log decides each candidate.
    event_log::append(verdicts.candidates.data(), static_cast<std::uint32_t>(verdicts.candidates.size()), verdicts.stamp);
    count_verdicts(verdicts, standings, metric_names);
    raise_if_wanted(verdicts);
    register_accepted(metric_names, verdicts.candidates);
    verdicts.xid = postgres::guarded([] { return model::Xid{U64FromFullTransactionId(GetTopFullTransactionId())}; });
    if (verdicts.accepted > 0) runtime::wake_at_commit(runtime::Role::kProjector);
    TELEMETRY_INJECTION_POINT("stored");
    return verdicts;
}

Verdicts foresee(const Request& request) {
    Verdicts verdicts;
    verdicts.received = 1;
    const auto opened = event_log::find_opened();
    if (opened) verdicts.stamp.opened = *opened;
    verdicts.stamp.received_at = GetCurrentTimestamp();
    verdicts.stamp.is_look_up = true;
    judge({&request, 1}, verdicts);
    std::vector<device::Standing> standings;
    find_devices(verdicts, standings, nullptr);
    const NewMetricNames metric_names = find_new_metric_names(verdicts.candidates);
    identify(verdicts);
    for (Candidate& each : verdicts.candidates) {
        const bool may_send = !each.is_only_looked_up;
        each.is_only_looked_up = true;
        each.outcome = AppendOutcome::kAbsent;
        if (opened) event_log::append(&each, 1, verdicts.stamp);
        if (may_send && each.outcome == AppendOutcome::kAbsent) each.outcome = AppendOutcome::kAccepted;
    }
    count_verdicts(verdicts, standings, metric_names);
    return verdicts;
}

const char* verdict_of(const RefusedReading& refused) noexcept {
    if (refused.event_id.value != 0) return "conflict";
    return refused.is_error ? "rejected" : "quarantined";
}

}  // namespace ingest
