// The handler takes five steps: it validates, finds the devices, identifies, appends and counts.
#include "ingest/command.hpp"

#include <algorithm>
#include <string_view>

#include "device/registry.hpp"
#include "event_log/append.hpp"
#include "ingest/admission.hpp"
#include "model/request_digest.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/settings.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

using event_log::AppendOutcome;
using event_log::Candidate;

struct SentMetrics {
    std::size_t excess_size;  // bytes of a jsonb that is too large to be read; 0 otherwise
    event_log::Metrics parsed;
    Jsonb* kept;  // without members that are null, because they say nothing; null if nothing is left
};

// P.
SentMetrics take_metrics(Jsonb* sent) {
    if (postgres::size_of(sent) > kMaxMetricsSize) return {postgres::size_of(sent), {}, nullptr};
    SentMetrics metrics{0, event_log::read_metrics(sent), sent};
    if (is_acceptable(metrics.parsed) && metrics.parsed.count < metrics.parsed.member_count)
        metrics.kept = postgres::without_nulls(JsonbPGetDatum(sent));
    if (metrics.parsed.count == 0) metrics.kept = nullptr;
    return metrics;
}

// Lets a cancel through once in 1,024 iterations. Loops over readings call it, as they may be long.
void serve_interrupts(std::uint32_t iteration) {
    if (iteration % 1024 == 1023) postgres::guarded([] { CHECK_FOR_INTERRUPTS(); });
}

Candidate candidate_of(const Request& request, const SentMetrics& metrics, std::uint32_t input_index) {
    Candidate candidate{};
    candidate.reading.device_id = postgres::view_of(request.device_id);
    if (request.has_measured_at) candidate.reading.measured_at = request.measured_at;
    if (request.has_temperature) candidate.reading.temperature = request.temperature;
    if (request.has_humidity) candidate.reading.humidity = request.humidity;
    candidate.reading.idempotency_key = postgres::optional_view_of(request.idempotency_key);
    candidate.reading.metrics = {metrics.parsed.items, static_cast<std::size_t>(metrics.parsed.count)};
    candidate.reading.region = postgres::optional_view_of(request.region);
    candidate.device_id = request.device_id;
    candidate.idempotency_key = request.idempotency_key;
    candidate.region = request.region;
    candidate.metrics = metrics.kept;
    candidate.input_index = input_index;
    return candidate;
}

// Step 1. A valid reading becomes a candidate. Every other reading is refused.
void validate(const Request* requests, std::uint32_t count, Verdicts& verdicts) {
    const model::Micros max_ahead = static_cast<model::Micros>(runtime::settings().max_ahead) * USECS_PER_SEC;
    const model::Micros received_at = verdicts.stamp.received_at;
    const model::Utf8Conversion to_utf8 = postgres::utf8_conversion();
    verdicts.candidates.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        serve_interrupts(i);
        const Request& request = requests[i];
        if (request.device_id == nullptr) {
            verdicts.refused.push_back(refuse_missing_device(i));
            continue;
        }
        SentMetrics metrics{};
        if (request.metrics != nullptr) metrics = postgres::guarded([&request] { return take_metrics(request.metrics); });
        if (metrics.excess_size > 0) {
            verdicts.refused.push_back(refuse_metrics_of_size(i, metrics.excess_size));
            continue;
        }
        if (!is_acceptable(metrics.parsed)) {
            verdicts.refused.push_back(refuse_metrics(i, metrics.parsed));
            continue;
        }
        Candidate candidate = candidate_of(request, metrics, i);
        const model::Refusal refusal = model::refusal_of(candidate.reading, received_at, max_ahead, to_utf8);
        if (refusal != model::Refusal::kNone) {
            verdicts.refused.push_back(
                refuse_reading(i, model::describe(refusal, candidate.reading, received_at, max_ahead, to_utf8)));
            continue;
        }
        verdicts.candidates.push_back(candidate);
    }
}

// Makes one entry for each device, ordered by id. `entry_of_candidate[i]` becomes the index of candidate i's entry.
std::vector<device::Entry> entries_of(const std::vector<Candidate>& candidates,
                                      std::vector<std::uint32_t>& entry_of_candidate) {
    std::vector<std::uint32_t> order(candidates.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return candidates[a].reading.device_id < candidates[b].reading.device_id;
    });
    std::vector<device::Entry> entries;
    entry_of_candidate.resize(candidates.size());
    const Candidate* previous = nullptr;
    for (const std::uint32_t i : order) {
        const Candidate& each = candidates[i];
        if (previous == nullptr || previous->reading.device_id != each.reading.device_id)
            entries.push_back(device::Entry{each.device_id, nullptr, device::Standing::kUnknown, nullptr});
        if (entries.back().proposed_region == nullptr) entries.back().proposed_region = each.region;
        entry_of_candidate[i] = static_cast<std::uint32_t>(entries.size() - 1);
        previous = &each;
    }
    return entries;
}

// The readings of each device, for the limits. `entry_of_candidate` says to which entry a candidate belongs.
void admit(const std::vector<device::Entry>& entries, const std::vector<std::uint32_t>& entry_of_candidate) {
    std::vector<DeviceReadings> devices;
    devices.reserve(entries.size());
    for (const device::Entry& each : entries) devices.push_back({postgres::view_of(each.device_id), 0, {}});
    for (const std::uint32_t entry : entry_of_candidate) ++devices[entry].count;
    admit_readings(devices);
}

// Step 2. A reading without a region gets the one of the registry. A repeat of a reading that was stored before its device was
// retired is still a duplicate. So the log only looks up the readings of a device that may not send, and `standings` says why
// it stores none of them.
void find_devices(Verdicts& verdicts, std::vector<device::Standing>& standings) {
    std::vector<Candidate>& candidates = verdicts.candidates;
    if (candidates.empty()) return;
    std::vector<std::uint32_t> entry_of_candidate;
    std::vector<device::Entry> entries = entries_of(candidates, entry_of_candidate);
    const bool auto_register = runtime::settings().auto_register;
    device::resolve(entries.data(), static_cast<std::uint32_t>(entries.size()), auto_register);
    if (has_limits()) admit(entries, entry_of_candidate);
    standings.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const device::Entry& entry = entries[entry_of_candidate[i]];
        standings[i] = entry.standing;
        const bool may_send =
            entry.standing == device::Standing::kActive || (entry.standing == device::Standing::kRegistering && auto_register);
        candidates[i].is_only_looked_up = !may_send;
        if (candidates[i].region == nullptr) candidates[i].region = entry.region;
    }
}

// Step 3. The identity and the digest of a reading depend only on what the client sent.
void identify(Verdicts& verdicts) {
    const model::Secret& secret = verdicts.stamp.opened.secret;
    std::uint32_t iteration = 0;
    for (Candidate& each : verdicts.candidates) {
        serve_interrupts(iteration++);
        each.measured_at = each.reading.measured_at.value_or(verdicts.stamp.received_at);
        each.request_digest = model::request_digest(secret, each.reading);
        each.has_identity = each.reading.idempotency_key || each.reading.measured_at;
        if (each.reading.idempotency_key)
            each.fingerprint = model::keyed_fingerprint(secret, each.reading.device_id, *each.reading.idempotency_key, 0);
        else if (each.reading.measured_at)
            each.fingerprint = model::derived_fingerprint(secret, each.reading, 0);
    }
}

// Step 5. The verdict of the log is known. Readings that it did not store join the refused ones, and all are counted.
void count_verdicts(Verdicts& verdicts, const std::vector<device::Standing>& standings, std::uint32_t received, Tally& tally) {
    verdicts.received = received;
    for (std::size_t i = 0; i < verdicts.candidates.size(); ++i) {
        const Candidate& each = verdicts.candidates[i];
        switch (each.outcome) {
            case AppendOutcome::kAccepted:
                ++verdicts.accepted;
                if (!ItemPointerIsValid(&each.tid)) ++tally.repeats;
                break;
            case AppendOutcome::kDuplicate:
                ++verdicts.duplicates;
                break;
            case AppendOutcome::kConflict:
                ++verdicts.conflicts;
                verdicts.refused.push_back(refuse_conflict(each));
                break;
            case AppendOutcome::kAbsent:
                verdicts.refused.push_back(refuse_device(each, standings[i]));
                break;
            case AppendOutcome::kUndecided:
                throw postgres::Error(ERRCODE_INTERNAL_ERROR, "a reading was left undecided");
        }
    }
    verdicts.rejected = static_cast<std::uint32_t>(verdicts.refused.size()) - verdicts.conflicts;
    std::ranges::sort(verdicts.refused, {}, &RefusedReading::input_index);
}

void raise_first(const Verdicts& verdicts, Tally& tally) {
    if (verdicts.refused.empty()) return;
    tally.blamed.conflicts = verdicts.conflicts;
    tally.blamed.rejected = verdicts.refused.size() - verdicts.conflicts;
    raise(verdicts.refused.front(), verdicts.is_batch);
}

}  // namespace

Verdicts handle_command(const Request* requests, std::uint32_t count, OnError on_error, bool is_batch, Tally& tally) {
    tally.received = count;
    Verdicts verdicts;
    verdicts.is_batch = is_batch;
    verdicts.stamp.opened = event_log::open_for_writing();
    verdicts.stamp.received_at = GetCurrentTimestamp();
    validate(requests, count, verdicts);
    if (on_error == OnError::kRaise) raise_first(verdicts, tally);
    std::vector<device::Standing> standings;
    find_devices(verdicts, standings);
    identify(verdicts);
    // Step 4. The log decides each candidate.
    event_log::append(verdicts.candidates.data(), static_cast<std::uint32_t>(verdicts.candidates.size()), verdicts.stamp);
    count_verdicts(verdicts, standings, count, tally);
    if (on_error == OnError::kRaise) raise_first(verdicts, tally);
    verdicts.xid = postgres::guarded([] { return model::Xid{U64FromFullTransactionId(GetTopFullTransactionId())}; });
    if (verdicts.accepted > 0) runtime::wake_at_commit(runtime::Role::kProjector);
    TELEMETRY_INJECTION_POINT("stored");
    tally.decided = {verdicts.accepted - tally.repeats, verdicts.duplicates + tally.repeats, verdicts.conflicts,
                     verdicts.rejected};
    return verdicts;
}

}  // namespace ingest
