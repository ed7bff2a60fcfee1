// Appends the candidates of a call:
// 1. It sorts them by fingerprint.
// 2. It probes and stores them in chunks (chunks.hpp), inside a subtransaction.
// 3. If a rival comes between a probe and its insert, it rolls the subtransaction back and stores the rows one by one.
#include "event_log/append.hpp"

#include <algorithm>
#include <vector>

#include "error_codes.hpp"
#include "event_log/chunks.hpp"
#include "event_log/segment_appender.hpp"
#include "postgres/error.hpp"
#include "postgres/subtransaction.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr std::uint32_t kFewestForChunks = 8;  // below this, a subtransaction costs more than chunks save

// P. Gives the candidates that may be stored event ids in the order of the input, each greater than `stale`.
void take_event_ids(Candidate* candidates, std::uint32_t count, Oid sequence, std::int64_t stale) {
    for (std::uint32_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (candidates[i].is_only_looked_up) continue;
        std::int64_t number = nextval_internal(sequence, false);
        while (number <= stale) {
            CHECK_FOR_INTERRUPTS();
            number = nextval_internal(sequence, false);
        }
        candidates[i].event_id = model::EventId{number};
    }
}

// P. No race makes this fail.
void store_singly(Candidate** sorted, std::uint32_t count, const Stamp& stamp, const runtime::Installed& relations,
                  bool* waits_for_rival) {
    SegmentAppender appender;
    open_appender(appender, relations, stamp, waits_for_rival);
    for (std::uint32_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        append_one(appender, *sorted[i]);
    }
    close_appender(appender);
}

bool is_same_request_identity(const Candidate& a, const Candidate& b) {
    if (a.reading.device_id != b.reading.device_id || a.reading.idempotency_key != b.reading.idempotency_key) return false;
    if (a.reading.idempotency_key) return true;
    const auto same_metric = [](const model::Metric& x, const model::Metric& y) {
        return x.name == y.name && x.value == y.value;
    };
    return a.measured_at == b.measured_at && a.reading.temperature == b.reading.temperature &&
           a.reading.humidity == b.reading.humidity && std::ranges::equal(a.reading.metrics, b.reading.metrics, same_metric);
}

// The key by which the append sorts a candidate. Sorting these keys touches no candidate.
struct SortKey {
    std::uint64_t high, low;  // of the fingerprint
    std::uint32_t number;
    bool lacks_identity;

    friend bool operator<(const SortKey& a, const SortKey& b) {
        if (a.lacks_identity != b.lacks_identity) return b.lacks_identity;
        if (a.high != b.high) return a.high < b.high;
        if (a.low != b.low) return a.low < b.low;
        return a.number < b.number;
    }
};

std::uint64_t big_endian(const unsigned char* bytes) {
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | bytes[i];
    return number;
}

// The candidates in ascending order of fingerprints, repeats in the order of the input. Those without an identity come last.
std::vector<Candidate*> by_fingerprint(Candidate* candidates, std::uint32_t count) {
    std::vector<SortKey> keys(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const Candidate& each = candidates[i];
        const unsigned char* bytes = each.fingerprint.bytes.data();
        keys[i] = each.has_identity ? SortKey{big_endian(bytes), big_endian(bytes + 8), i, false} : SortKey{0, 0, i, true};
    }
    if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
    std::vector<Candidate*> sorted(count);
    for (std::uint32_t i = 0; i < count; ++i) sorted[i] = candidates + keys[i].number;
    return sorted;
}

// Orders by fingerprint, links repeats inside the call to their leader, and returns the leaders. If two identities of one call
// collide in all 128 bits, the later one goes to `collided`, and the caller stores that row by row.
std::vector<Candidate*> leaders_of(Candidate* candidates, std::uint32_t count, std::vector<Candidate*>& collided) {
    const std::vector<Candidate*> sorted = by_fingerprint(candidates, count);
    std::vector<Candidate*> leaders;
    leaders.reserve(count);
    Candidate* previous = nullptr;
    for (Candidate* each : sorted) {
        const bool repeats =
            previous != nullptr && each->has_identity && previous->has_identity && each->fingerprint == previous->fingerprint;
        if (!repeats) {
            leaders.push_back(each);
            previous = each;
        } else if (is_same_request_identity(*each, *previous)) {
            each->leader = previous;
        } else {
            collided.push_back(each);
        }
    }
    return leaders;
}

void answer_repeat(Candidate& repeat) {
    const Candidate& leader = *repeat.leader;
    const bool is_same_request = repeat.request_digest == leader.stored_digest;
    repeat.outcome = leader.outcome == AppendOutcome::kAbsent ? AppendOutcome::kAbsent
                     : is_same_request                        ? AppendOutcome::kDuplicate
                                                              : AppendOutcome::kConflict;
    repeat.event_id = leader.event_id;
    repeat.received_at = leader.received_at;
    repeat.epoch = leader.epoch;
    repeat.xid = leader.xid;
    repeat.stored_digest = leader.stored_digest;
}

void forget_attempt(Candidate* candidates, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        candidates[i].outcome = AppendOutcome::kUndecided;
        ItemPointerSetInvalid(&candidates[i].tid);
    }
}

// Runs `store` in a guarded block. `store` notes while it waits for a rival: a lock timeout in that time is TC101.
template <typename Store>
void guarded_store(Store store) {
    bool waits_for_rival = false;
    try {
        postgres::guarded([store, note = &waits_for_rival] { store(note); });
    } catch (const postgres::PgError& error) {
        if (error.sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE || !waits_for_rival) throw;
        throw postgres::Error(error_codes::kInProgress, "another session is storing this idempotency key",
                              "That session's transaction did not end within lock_timeout.",
                              "Send the same request again later.");
    }
}

}  // namespace

void append(Candidate* candidates, std::uint32_t count, const Stamp& stamp) {
    if (count == 0) return;
    const runtime::Installed relations = runtime::installed();
    forget_attempt(candidates, count);
    std::vector<Candidate*> collided;
    std::vector<Candidate*> leaders = leaders_of(candidates, count, collided);
    const auto take_ids = [=, &relations, stale = stamp.opened.last_stale_event_id] {
        take_event_ids(candidates, count, relations.event_id_sequence, stale);
    };
    const auto singly = [&](std::vector<Candidate*>& rows) {
        guarded_store([sorted = rows.data(), number = static_cast<std::uint32_t>(rows.size()), &stamp,
                       &relations](bool* waits_for_rival) { store_singly(sorted, number, stamp, relations, waits_for_rival); });
    };
    postgres::guarded(take_ids);
    bool stored = false;
    if (leaders.size() >= kFewestForChunks) {
        try {
            postgres::in_subtransaction([&] {
                guarded_store([sorted = leaders.data(), number = static_cast<std::uint32_t>(leaders.size()), candidates, count,
                               &stamp, &relations](bool* waits_for_rival) {
                    store_chunks(sorted, number, candidates, count, stamp, relations, waits_for_rival);
                });
            });
            stored = true;
        } catch (const postgres::PgError& error) {
            // The error may name any index, because a rival's delivery of the same reading takes the values in a user's unique
            // index as well. Stored singly, the reading is then a duplicate. A real violation comes again.
            if (error.sqlstate() != ERRCODE_UNIQUE_VIOLATION && error.sqlstate() != ERRCODE_EXCLUSION_VIOLATION) throw;
        }
        if (!stored) {
            // The first attempt gave duplicates the ids of their first delivery. The second attempt needs new ids.
            forget_attempt(candidates, count);
            postgres::guarded(take_ids);
        }
    }
    if (!stored) singly(leaders);
    if (!collided.empty()) singly(collided);
    for (std::uint32_t i = 0; i < count; ++i)
        if (candidates[i].leader != nullptr) answer_repeat(candidates[i]);
}

}  // namespace event_log
