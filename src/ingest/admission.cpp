// Asks the brake first, then the buckets of the devices, and last the bucket of the database. So a device that floods the
// server is refused by its own bucket, and takes nothing from the others.
#include "ingest/admission.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <vector>

#include "error_codes.hpp"
#include "model/name_text.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "runtime/backlog.hpp"
#include "runtime/quotas.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr std::int64_t kUnknownWait = 1000;  // milliseconds
constexpr std::int64_t kShortestWait = 100;  // the projector reads events in passes, so a shorter wait is seldom enough
constexpr std::int64_t kLongestWait = 60000;

std::string hint_to_wait(std::int64_t milliseconds) {
    return "Wait " + std::to_string(milliseconds) + " ms and send the same request again.";
}

std::string text_of(double rate) {
    char text[32];
    char* end = std::to_chars(text, text + sizeof text, rate, std::chars_format::general, 6).ptr;
    return {text, end};
}

std::string describe(const model::Quota& quota, std::uint32_t readings) {
    return "the limit is " + text_of(quota.rate) + " readings a second and " + std::to_string(quota.burst) +
           " at once; the call has " + std::to_string(readings) + " of them.";
}

[[noreturn]] void refuse(runtime::Limit limit, const char* message, const std::string& detail, model::Nanos wait) {
    const std::int64_t milliseconds = wait / 1'000'000 + 1;
    runtime::count_refusal(limit, milliseconds);
    throw postgres::Error(error_codes::kOverQuota, message, postgres::presentable(detail), hint_to_wait(milliseconds));
}

void refuse_over_backlog() {
    const std::int64_t most = runtime::settings().max_backlog;
    const std::int64_t backlog = most == 0 ? 0 : runtime::backlog();
    if (backlog <= most) return;
    const std::uint64_t speed = runtime::projector_speed();
    const std::int64_t wait =
        speed == 0 ? kUnknownWait
                   : std::clamp((backlog - most) * 1000 / static_cast<std::int64_t>(speed), kShortestWait, kLongestWait);
    runtime::count_refusal(runtime::Limit::kBacklog, wait);
    throw postgres::Error(error_codes::kBackpressure, "the projector is too far behind",
                          std::to_string(backlog) + " events wait; telemetry_cqrs.max_backlog is " + std::to_string(most) + ".",
                          hint_to_wait(wait));
}

model::Quota device_quota() noexcept {
    const runtime::Settings& settings = runtime::settings();
    return {.rate = settings.device_rate, .burst = static_cast<std::uint32_t>(settings.device_burst)};
}

model::Quota total_quota() noexcept {
    const runtime::Settings& settings = runtime::settings();
    return {.rate = settings.total_rate, .burst = static_cast<std::uint32_t>(settings.total_burst)};
}

constexpr std::size_t kAhead = 8;  // devices whose buckets are on their way
constexpr std::uint32_t kAnyBurst = std::numeric_limits<std::uint32_t>::max();

// The devices of a portion, and what of them is charged.
class Charge {
public:
    // `charged`: the buckets that have admitted an earlier portion.
    Charge(std::span<const DeviceReadings> devices, const std::unordered_set<std::uint64_t>& charged)
        : devices_(devices), charged_(charged) {
        keys_.reserve(devices.size());
        for (const DeviceReadings& each : devices) keys_.push_back(runtime::bucket_key(each.device_id, quota_of(each).rate));
    }

    // Charges all of them, or none and raises.
    void take_devices() {
        for (std::size_t i = 0; i < devices_.size(); ++i) {
            if (i + kAhead < devices_.size()) runtime::prefetch_bucket(keys_[i + kAhead]);
            const DeviceReadings& each = devices_[i];
            model::Quota quota = quota_of(each);
            if (!quota.is_limit()) continue;
            const std::uint64_t key = keys_[i];
            if (!charged_.empty() && charged_.contains(key)) quota.burst = kAnyBurst;
            const model::Nanos wait = runtime::take_from_device(key, quota, each.count, now_);
            if (wait == 0) continue;
            give_back(i);
            refuse(runtime::Limit::kDevice, "device is over its quota",
                   "Of device " + model::quoted_for_message(each.device_id) + " " + describe(quota, each.count), wait);
        }
    }

    void take_total(bool has_admitted) {
        model::Quota quota = total_quota();
        if (!quota.is_limit()) return;
        if (has_admitted) quota.burst = kAnyBurst;
        std::uint32_t readings = 0;
        for (const DeviceReadings& each : devices_) readings += each.count;
        const model::Nanos wait = runtime::take_from_total(quota, readings, now_);
        if (wait == 0) return;
        give_back(devices_.size());
        refuse(runtime::Limit::kTotal, "the database is over its quota", "Of all devices together " + describe(quota, readings),
               wait);
    }

    // Adds the keys of the buckets that were charged.
    void note_buckets(std::unordered_set<std::uint64_t>& keys) const {
        for (std::size_t i = 0; i < devices_.size(); ++i)
            if (quota_of(devices_[i]).is_limit()) keys.insert(keys_[i]);
    }

private:
    model::Quota quota_of(const DeviceReadings& device) const noexcept { return device.own_quota.value_or(of_devices_); }

    void give_back(std::size_t devices) noexcept {
        for (std::size_t i = 0; i < devices; ++i) {
            const model::Quota quota = quota_of(devices_[i]);
            if (quota.is_limit()) runtime::give_back_to_device(keys_[i], quota, devices_[i].count);
        }
    }

    std::span<const DeviceReadings> devices_;
    const std::unordered_set<std::uint64_t>& charged_;
    model::Quota of_devices_ = device_quota();
    std::vector<std::uint64_t> keys_;  // of the devices' buckets
    model::Nanos now_ = runtime::quota_time();
};

// The session has logged that it cannot keep the limits.
bool has_logged = false;

void log_missing_memory() {
    if (has_logged) return;
    has_logged = true;
    postgres::guarded([] {
        ereport(LOG, (errmsg("the quotas of telemetry_cqrs are not enforced"),
                      errdetail("The library is not preloaded, so the sessions share no memory."),
                      errhint("SELECT * FROM telemetry.setup() says how to preload it.")));
    });
}

}  // namespace

bool has_limits() noexcept {
    const runtime::Settings& settings = runtime::settings();
    return settings.device_rate > 0 || settings.total_rate > 0 || settings.max_backlog > 0;
}

void Admission::admit(std::span<const DeviceReadings> devices) {
    if (!runtime::has_quotas()) return log_missing_memory();
    if (!has_admitted_) refuse_over_backlog();
    Charge charge(devices, charged_);
    charge.take_devices();
    charge.take_total(has_admitted_);
    if (!has_portions_) return;
    has_admitted_ = true;
    charge.note_buckets(charged_);
}

}  // namespace ingest
