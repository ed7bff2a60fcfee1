// The share falls fast while the machine is busy, and grows slowly until much of the machine is idle.
#include "worker/relay_pace.hpp"

#include <algorithm>

#include <uv.h>

#include "runtime/statistics.hpp"

namespace worker {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kLookInterval = 100 * 1000;
constexpr double kLeastIdle = 0.15; // of the machine
constexpr double kMuchIdle = 0.3;
constexpr double kLeastShare = 0.003;
constexpr double kGrowth = 1.1;
constexpr double kFastGrowth = 2;

struct Processors {
    double count = 0;
    double used = 0;  // seconds
};

Processors processors() {
    uv_cpu_info_t* each = nullptr;
    int count = 0;
    if (uv_cpu_info(&each, &count) != 0) return {};
    Processors all;
    all.count = count;
    for (int i = 0; i < count; ++i) {
        const auto& times = each[i].cpu_times;
        all.used += static_cast<double>(times.user + times.nice + times.sys + times.irq) / 1000;
    }
    uv_free_cpu_info(each, count);
    return all;
}

}  // namespace

void RelayPace::look(SteadyTime now) {
    if (now - looked_at_ < kLookInterval) return;
    const auto readings = runtime::ingest_statistics();
    const std::uint64_t accepted = readings ? readings->counts[static_cast<int>(runtime::IngestFigure::kAccepted)] : 0;
    const Processors all = processors();
    const double seconds = static_cast<double>(now - looked_at_) / 1e6;
    const double idle = all.count == 0 ? 1 : 1 - (all.used - used_) / (seconds * all.count);
    if (accepted == accepted_)
        share_ = 1;
    else if (idle < kLeastIdle)
        share_ = std::max(share_ / 4, kLeastShare);
    else
        share_ = std::min(share_ * kGrowth, 1.0);
    looked_at_ = now;
    used_ = all.used;
    accepted_ = accepted;
}

SteadyTime RelayPace::rest_after(SteadyTime work) const noexcept {
    return static_cast<SteadyTime>(static_cast<double>(work) * (1 / share_ - 1));
}

}  // namespace worker
