// Finds buckets, and charges them by comparing and swapping.
#include "runtime/quotas.hpp"

#include <bit>
#include <chrono>

#include "postgres/text.hpp"
#include "runtime/shared_state.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

bool is_full(std::uint64_t arrival, model::Nanos now) noexcept {
    return static_cast<model::Nanos>(arrival) <= now;
}

BucketSet& set_of(std::uint64_t key) noexcept {
    return bucket_sets()[key % kBucketSets];
}

// Returns the device's bucket, or null if it has none.
pg_atomic_uint64* find_bucket(std::uint64_t key) noexcept {
    BucketSet& set = set_of(key);
    for (int way = 0; way < kBucketWays; ++way)
        if (pg_atomic_read_u64(&set.keys[way]) == key) return &set.arrivals[way];
    return nullptr;
}

// The same, but it takes the entry of a full bucket for a device that has none. A session that loses an entry to another one
// looks again, because the other session may serve the same device.
pg_atomic_uint64* find_or_make_bucket(std::uint64_t key, model::Nanos now) noexcept {
    BucketSet& set = set_of(key);
    for (;;) {
        if (pg_atomic_uint64* bucket = find_bucket(key)) return bucket;
        bool has_lost = false;
        for (int way = 0; way < kBucketWays && !has_lost; ++way) {
            std::uint64_t former = pg_atomic_read_u64(&set.keys[way]);
            if (!is_full(pg_atomic_read_u64(&set.arrivals[way]), now)) continue;
            if (pg_atomic_compare_exchange_u64(&set.keys[way], &former, key)) return &set.arrivals[way];
            has_lost = true;
        }
        if (!has_lost) return nullptr;
    }
}

enum class Charged { kYes, kNo, kLostRace };

// `now` may be older than what others have charged since, which would then look like a debt. So before it refuses, this looks
// at the clock, and it has looked at the bucket before.
Charged try_to_charge(pg_atomic_uint64& bucket, const model::Quota& quota, std::uint32_t readings, model::Nanos now,
                      model::Nanos& wait) noexcept {
    std::uint64_t arrival = pg_atomic_read_u64(&bucket);
    model::QuotaDecision decision = model::decide(static_cast<model::Nanos>(arrival), now, quota, readings);
    if (decision.wait > 0) {
        pg_read_barrier();
        decision = model::decide(static_cast<model::Nanos>(arrival), quota_time(), quota, readings);
    }
    wait = decision.wait;
    if (wait > 0) return Charged::kNo;
    return pg_atomic_compare_exchange_u64(&bucket, &arrival, static_cast<std::uint64_t>(decision.arrival)) ? Charged::kYes
                                                                                                           : Charged::kLostRace;
}

std::int64_t last_wait = 0;

}  // namespace

bool has_quotas() noexcept {
    return shared_state() != nullptr;
}

model::Nanos quota_time() noexcept {
    using std::chrono::nanoseconds;
    return std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint64_t bucket_key(std::string_view device_id, double rate) noexcept {
    const std::uint64_t key = postgres::hash_of(device_id, MyDatabaseId ^ std::bit_cast<std::uint64_t>(rate));
    return key == 0 ? 1 : key;  // 0: the entry was never taken
}

void prefetch_bucket(std::uint64_t key) noexcept {
    const BucketSet& set = set_of(key);
    __builtin_prefetch(set.keys);
    __builtin_prefetch(set.arrivals, 1);
}

model::Nanos take_from_device(std::uint64_t key, const model::Quota& quota, std::uint32_t readings, model::Nanos now) noexcept {
    model::Nanos wait = 0;
    for (;;) {
        pg_atomic_uint64* bucket = find_or_make_bucket(key, now);
        if (bucket == nullptr) {
            pg_atomic_fetch_add_u64(&shared_state()->unbounded_requests, 1);
            return 0;
        }
        if (try_to_charge(*bucket, quota, readings, now, wait) != Charged::kLostRace) return wait;
    }
}

model::Nanos take_from_total(const model::Quota& quota, std::uint32_t readings, model::Nanos now) noexcept {
    DatabaseSlot* slot = own_slot();
    model::Nanos wait = 0;
    while (slot != nullptr && try_to_charge(slot->total_bucket, quota, readings, now, wait) == Charged::kLostRace) {
    }
    return wait;
}

void fill_total_buckets() noexcept {
    SharedState* shared = shared_state();
    for (int i = 0; i < shared->slot_count; ++i) pg_atomic_write_u64(&shared->slots[i].total_bucket, 0);
}

void give_back_to_device(std::uint64_t key, const model::Quota& quota, std::uint32_t readings) noexcept {
    for (;;) {
        pg_atomic_uint64* bucket = find_bucket(key);
        if (bucket == nullptr) return;
        std::uint64_t arrival = pg_atomic_read_u64(bucket);
        const model::Nanos before = model::given_back(static_cast<model::Nanos>(arrival), quota, readings);
        if (pg_atomic_compare_exchange_u64(bucket, &arrival, static_cast<std::uint64_t>(before))) return;
    }
}

void count_refusal(Limit limit, std::int64_t wait) noexcept {
    last_wait = wait;
    DatabaseSlot* slot = own_slot();
    if (slot == nullptr) return;
    pg_atomic_fetch_add_u64(&slot->refused_requests[static_cast<int>(limit)], 1);
    pg_atomic_write_u64(&slot->last_refused_at, static_cast<std::uint64_t>(GetCurrentTimestamp()));
}

std::int64_t wait_after_refusal() noexcept {
    return last_wait;
}

QuotaReport quota_report() noexcept {
    QuotaReport report{};
    DatabaseSlot* slot = own_slot();
    if (slot == nullptr) return report;
    for (int i = 0; i < kLimits; ++i) report.refused[i] = pg_atomic_read_u64(&slot->refused_requests[i]);
    report.last_refused_at = static_cast<std::int64_t>(pg_atomic_read_u64(&slot->last_refused_at));
    report.unbounded_requests = pg_atomic_read_u64(&shared_state()->unbounded_requests);
    return report;
}

}  // namespace runtime
