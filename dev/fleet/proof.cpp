#include "proof.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "connection.hpp"
#include "dashboard.hpp"

namespace fleet {
namespace {

bool same(const char* what, std::int64_t found, std::int64_t wanted) {
    std::printf("  %-62s %12s  %s\n", what, grouped(found).c_str(),
                found == wanted ? "ok" : ("DIFFERS from " + grouped(wanted)).c_str());
    return found == wanted;
}

}  // namespace

bool prove(const Totals& totals) {
    client::Connection connection("");
    const auto begin = std::chrono::steady_clock::now();
    while (connection.run_integer("SELECT max(lag_events) FROM telemetry.projection_status") > 0) {
        if (std::chrono::steady_clock::now() - begin > std::chrono::minutes(1)) {
            std::printf("the read models are not complete after a minute\n");
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const std::int64_t accepted = totals.accepted;
    const auto count = [&](const char* from) { return connection.run_integer(std::string("SELECT ") + from); };

    std::printf("\nNothing lost, nothing twice:\n\n");
    std::printf("  %-62s %12s\n", "accepted, by the receipts", grouped(accepted).c_str());
    bool equal = same("readings in the event log", count("count(*) FROM telemetry.measurements"), accepted);
    equal &= same("sum of sample_count in device_stats", count("coalesce(sum(sample_count), 0) FROM telemetry.device_stats"),
                  accepted);
    equal &= same("sum of sample_count in region_stats", count("coalesce(sum(sample_count), 0) FROM telemetry.region_stats"),
                  accepted);
    equal &= same("sent = accepted + duplicates + rejected", accepted + totals.duplicates + totals.refused, totals.sent);
    equal &= same("rejected, kept with reason in rejected_readings", count("count(*) FROM telemetry.rejected_readings"),
                  totals.refused);
    if (totals.simulated) {
        equal &= same("duplicates, by the receipts = readings the fleet sent again", totals.duplicates, totals.retries);
        equal &= same("rejected, by the receipts = faulty readings the fleet sent", totals.refused, totals.faulty);
    }
    return equal;
}

}  // namespace fleet
