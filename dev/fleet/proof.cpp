#include "proof.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "connection.hpp"
#include "far_side.hpp"
#include "terminal.hpp"
#include "view.hpp"

namespace fleet {
namespace {

constexpr int kWidth = 79;

void print_line(const Line& line) {
    std::printf("%s\n", line.text().c_str());
}

// Until everything has arrived, or for ten seconds; the counts tell then.
void wait_for_relay(client::Connection& connection) {
    for (int looks = 0; looks < 200; ++looks) {
        if (connection.run_integer("SELECT sum(lag_events + pending) FROM telemetry.relay_status") == 0) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

}  // namespace

bool prove(const Totals& totals) {
    const Terminal terminal = Terminal::of_stdout();
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
    const auto same = [&](const char* what, std::int64_t found, std::int64_t wanted) {
        Line line(terminal, kWidth);
        line.put("  ").left(what, 56).right(grouped(found), 12, Style::kBold).put("  ");
        if (found == wanted)
            line.put("ok", Style::kGreen);
        else  // It stands on a line of its own, because it must not be cut.
            line.put("DIFFERS", Style::kRed);
        print_line(line);
        if (found != wanted) std::printf("  %-56s %12s\n", "    wanted", grouped(wanted).c_str());
        return found == wanted;
    };

    Line heading(terminal, kWidth);
    heading.put("Nothing lost, nothing twice:", Style::kBold);
    std::printf("\n%s\n\n", heading.text().c_str());
    Line first(terminal, kWidth);
    print_line(first.put("  ").left("accepted, by the receipts", 56).right(grouped(accepted), 12, Style::kBold));
    bool equal = same("readings in the event log", count("count(*) FROM telemetry.measurements"), accepted);
    equal &= same("sum of sample_count in device_stats", count("coalesce(sum(sample_count), 0) FROM telemetry.device_stats"),
                  accepted);
    equal &= same("sum of sample_count in region_stats", count("coalesce(sum(sample_count), 0) FROM telemetry.region_stats"),
                  accepted);
    equal &= same("sent = accepted + duplicates + rejected", accepted + totals.duplicates + totals.refused, totals.sent);
    equal &= same("rejected = kept with their reason in rejected_readings", count("count(*) FROM telemetry.rejected_readings"),
                  totals.refused);
    if (totals.simulated) {
        equal &= same("duplicates = readings the fleet sent again", totals.duplicates, totals.retries);
        equal &= same("rejected = faulty readings the fleet sent", totals.refused, totals.faulty);
    }
    FarSide far_side;
    if (far_side.is_there()) wait_for_relay(connection);
    if (const auto messages = FarSide::messages_in_stream())
        equal &= same("messages in the stream of NATS", *messages, accepted);
    if (const auto readings = far_side.readings_in_redis(connection))
        equal &= same("sum of sample_count in the values of Redis", *readings, accepted);
    return equal;
}

}  // namespace fleet
