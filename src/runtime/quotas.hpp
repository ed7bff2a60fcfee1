// The buckets of the quotas, in shared memory: one for each database, and a table of buckets of devices. model/gcra.hpp has the
// arithmetic. A bucket is one atomic word, so no function here takes a lock, and none raises or throws.
//
// The table of the devices:
//
// 1. The hash of the database, the device and the rate chooses a set of eight entries. An entry has the hash and the state of
//    its bucket. So a device with a new rate has a full bucket, and pays no debt that it made at the old one.
// 2. A bucket that is full again says nothing, so any other device of the set may take its entry. Nobody needs to clean the
//    table, and a restart of the server makes all buckets full.
// 3. If all entries of the set belong to other devices with buckets that are not full, the device has no bucket. Then only the
//    total bounds it, and `unbounded_requests` counts that. The table has 131,072 entries.
// 4. A device may take an entry in the moment in which its former device uses it. Then the one bears what the other has
//    charged, which is one request at most.
//
// A transaction that is rolled back does not give its readings back, because the server has done the work.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/gcra.hpp"

namespace runtime {

// False without preloading: then nothing is bounded.
bool has_quotas() noexcept;

// The time of the buckets, which all processes of the server share.
model::Nanos quota_time() noexcept;

// Stands for a device of this database with a quota of this rate.
std::uint64_t bucket_key(std::string_view device_id, double rate) noexcept;

// Fetches the device's bucket ahead. The table is larger than a processor's nearest caches.
void prefetch_bucket(std::uint64_t key) noexcept;

// Charges the readings, and returns 0. Or charges nothing, and returns how long the caller must wait. The quota is a limit.
model::Nanos take_from_device(std::uint64_t key, const model::Quota& quota, std::uint32_t readings, model::Nanos now) noexcept;
model::Nanos take_from_total(const model::Quota& quota, std::uint32_t readings, model::Nanos now) noexcept;

// Makes the buckets of all databases full, because they have a new rate.
void fill_total_buckets() noexcept;

// Takes back what `take_from_device` has charged just before, because the request is refused for another reason.
void give_back_to_device(std::uint64_t key, const model::Quota& quota, std::uint32_t readings) noexcept;

// The limit that refused a request.
enum class Limit : int { kDevice, kTotal, kBacklog };
inline constexpr int kLimits = 3;

// Counts a request that was refused. `wait`: after how many milliseconds its client may try again.
void count_refusal(Limit limit, std::int64_t wait) noexcept;

// The wait of the last refusal in this process, in milliseconds.
std::int64_t wait_after_refusal() noexcept;

// What the limits did in this database since the server started; all are zero without preloading.
struct QuotaReport {
    std::uint64_t refused[kLimits];    // requests, by limit
    std::int64_t last_refused_at;      // as the server counts time; 0: never
    std::uint64_t unbounded_requests;  // of devices that found no bucket, in all databases
};
QuotaReport quota_report() noexcept;

}  // namespace runtime
