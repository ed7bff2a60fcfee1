// Asks libuv for the times of the processors.
#include "worker/machine_totals.hpp"

#include <uv.h>

#include "runtime/statistics.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

relay::MachineTotals machine_totals() {
    relay::MachineTotals totals;
    if (const auto readings = runtime::ingest_statistics())
        totals.readings = readings->counts[static_cast<int>(runtime::IngestFigure::kAccepted)];
    uv_cpu_info_t* processors = nullptr;
    int count = 0;
    if (uv_cpu_info(&processors, &count) != 0) return totals;
    for (int i = 0; i < count; ++i) {
        const auto& times = processors[i].cpu_times;
        totals.used += static_cast<double>(times.user + times.nice + times.sys + times.irq) / 1000;
    }
    uv_free_cpu_info(processors, count);
    totals.offered = static_cast<double>(runtime::steady_time()) / 1e6 * count;
    return totals;
}

}  // namespace worker
