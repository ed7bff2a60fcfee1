// Reads the first line of /proc/stat. libuv would read much more for it, and aborts the process where it does not understand a
// line.
#include "worker/machine_totals.hpp"

#include <fstream>
#include <string>

#include <unistd.h>

#include "runtime/statistics.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

relay::MachineTotals machine_totals() {
    relay::MachineTotals totals;
    totals.at = runtime::steady_time();
    if (const auto readings = runtime::ingest_statistics())
        totals.readings = readings->counts[static_cast<int>(runtime::IngestFigure::kAccepted)];
    std::ifstream file("/proc/stat");
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft_interrupts = 0;
    const long ticks = sysconf(_SC_CLK_TCK);
    if (!(file >> name >> user >> nice >> system >> idle >> waiting >> interrupts >> soft_interrupts) || name != "cpu" ||
        ticks <= 0)
        return totals;
    totals.used = (user + nice + system + interrupts + soft_interrupts) / static_cast<double>(ticks);
    totals.offered = totals.used + (idle + waiting) / static_cast<double>(ticks);
    return totals;
}

}  // namespace worker
