// Counts, quarantines and accounts for the portions of a statement.
#include "ingest/intake.hpp"

#include <algorithm>
#include <cstdio>

#include "ingest/account.hpp"
#include "ingest/quarantine.hpp"
#include "postgres/kept_memory.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr std::size_t kManyReadings = 1000;  // from here on, fresh memory costs a tenth of a call

// A key that nobody can guess, because it is a part of the token.
std::string new_account_key() {
    std::uint64_t random = 0;
    if (!pg_strong_random(&random, sizeof random))
        throw postgres::Error(ERRCODE_INTERNAL_ERROR, "could not generate random values");
    char digits[17];
    (void)pg_snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(random));
    return digits;
}

bool is_exceptional(const Verdicts& verdicts) noexcept {
    return verdicts.accepted != verdicts.received || verdicts.repeats > 0;
}

}  // namespace

const char* name_of(Source source) noexcept {
    switch (source) {
        case Source::kReading:
            return "reading";
        case Source::kArrays:
            return "arrays";
        case Source::kJson:
            return "json";
        case Source::kInbox:
            return "inbox";
        case Source::kRedrive:
            return "redrive";
    }
    return "";
}

Intake::Intake(Source source, OnError on_error)
    : source_(source),
      on_error_(on_error),
      admission_(source == Source::kInbox || source == Source::kRedrive),
      sender_(GetUserId()) {}

void Intake::begin_part() {
    postgres::guarded([] { runtime::expect_counts(); });
    if (!is_begun_) runtime::count_command(is_batch());
    is_begun_ = true;
    progress_ = {};
    if (!is_batch()) progress_.received = 1;  // whatever comes of the call
    counts_ = {};
}

void Intake::end_part() noexcept {
    runtime::count_readings(counts_);
}

void Intake::count_error(int sqlstate) const noexcept {
    const std::uint64_t blamed = progress_.blamed_conflicts + progress_.blamed_rejected;
    runtime::ReadingCounts refused;
    refused.conflicts = progress_.blamed_conflicts;
    refused.rejected = progress_.blamed_rejected;
    runtime::count_raised(refused, progress_.received - blamed, sqlstate);
}

Verdicts Intake::take(std::span<const Request> requests) {
    if (requests.size() >= kManyReadings) postgres::keep_freed_memory();
    const std::uint64_t first_index = totals_.received;
    progress_.received = requests.size();
    const Portion portion{requests,  static_cast<std::uint32_t>(first_index), on_error_, is_batch(), source_ == Source::kInbox,
                          admission_};
    Verdicts verdicts = decide(portion, progress_);
    if (source_ != Source::kRedrive && (is_batch() || !verdicts.refused.empty())) keep_account(verdicts, first_index);
    add(verdicts);
    if (source_ != Source::kRedrive && !verdicts.refused.empty())
        quarantine(verdicts, requests, {name_of(source_), token(), first_index, is_batch()});
    return verdicts;
}

void Intake::add(const Verdicts& verdicts) {
    totals_.received += verdicts.received;
    totals_.accepted += verdicts.accepted;
    totals_.duplicates += verdicts.duplicates;
    totals_.conflicts += verdicts.conflicts;
    totals_.rejected += verdicts.rejected;
    totals_.epoch = verdicts.stamp.opened.epoch;
    totals_.xid = verdicts.xid;
    totals_.received_at = verdicts.stamp.received_at;
    for (const event_log::Candidate& each : verdicts.candidates) {
        if (each.outcome != event_log::AppendOutcome::kAccepted) continue;
        const std::int64_t id = each.event_id.value;
        totals_.first_event_id = totals_.first_event_id == 0 ? id : std::min(totals_.first_event_id, id);
        totals_.last_event_id = std::max(totals_.last_event_id, id);
    }
    counts_.accepted += verdicts.accepted - verdicts.repeats;
    counts_.duplicates += verdicts.duplicates + verdicts.repeats;
    if (source_ == Source::kRedrive) return;  // its refused readings were counted when they came
    counts_.conflicts += verdicts.conflicts;
    counts_.rejected += verdicts.rejected;
}

// A span of event ids is the account of one portion of which every reading was stored. A trigger may store events between two
// portions, so the second portion brings a row for itself and one for the portion before it.
void Intake::keep_account(const Verdicts& verdicts, std::uint64_t first_index) {
    if (account_key_.empty() && first_index == 0 && !is_exceptional(verdicts)) return;
    if (verdicts.received == 0 || !OidIsValid(runtime::installed().batch_verdict)) return;
    if (account_key_.empty()) {
        account_key_ = new_account_key();
        if (totals_.received > 0)
            write_account({account_key_, sender_, 0, totals_.received, totals_.first_event_id, totals_.last_event_id}, nullptr,
                          verdicts.stamp);
    }
    write_account({account_key_, sender_, first_index, verdicts.received, 0, 0}, &verdicts, verdicts.stamp);
}

std::string Intake::token() const {
    std::string token = std::to_string(totals_.epoch.value) + ':' + std::to_string(totals_.xid.value);
    if (!account_key_.empty()) return token + ':' + account_key_;
    if (!is_batch()) return token;
    return token + ':' + std::to_string(totals_.first_event_id) + '-' + std::to_string(totals_.last_event_id);
}

}  // namespace ingest
