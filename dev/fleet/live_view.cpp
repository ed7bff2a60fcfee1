// Draws the figures, a table of regions, one of devices and the last notifications, as far as the terminal has room for them.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <string_view>

#include "terminal.hpp"
#include "view.hpp"

namespace fleet {
namespace {

constexpr int kIntervalMs = 200;
constexpr std::size_t kHistory = 240;   // in intervals
constexpr std::size_t kLagLooks = 200;  // The view shows the lag of the last five seconds.
constexpr std::string_view kEvents = "\"events\":";
constexpr int kMostDevices = 10, kMostRegions = 6, kMostPayloads = 5;

std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

void remember(std::vector<double>& history, double value) {
    if (history.size() == kHistory) history.erase(history.begin());
    history.push_back(value);
}

// Returns the value of a number that a JSON text has once; empty if it has none.
std::string json_number(const std::string& json, const std::string& name) {
    const std::size_t at = json.find("\"" + name + "\":");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 3;
    return json.substr(from, json.find_first_not_of("0123456789", from) - from);
}

// Returns the text of a name in a JSON text at or after a position. Escapes stay as they are.
std::string json_text(const std::string& json, const std::string& name, std::size_t after) {
    const std::size_t at = json.find("\"" + name + "\":", after);
    if (at == std::string::npos) return "-";
    std::size_t from = at + name.size() + 3;
    if (json[from] != '"') return json.substr(from, json.find_first_of(",}", from) - from);
    return json.substr(from + 1, json.find('"', from + 1) - from - 1);
}

// Returns the whole history in at most so many values, each the mean of its part.
std::vector<double> condensed(const std::vector<double>& values, int width) {
    const auto parts = static_cast<std::size_t>(width);
    if (values.size() <= parts) return values;
    std::vector<double> means;
    for (std::size_t i = 0; i < parts; ++i) {
        const std::size_t from = i * values.size() / parts, to = (i + 1) * values.size() / parts;
        double sum = 0;
        for (std::size_t j = from; j < to; ++j) sum += values[j];
        means.push_back(sum / static_cast<double>(to - from));
    }
    return means;
}

class LiveView : public View {
public:
    explicit LiveView(const Totals& totals) : totals_(totals), terminal_(Terminal::of_stdout()) {}

    std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(kIntervalMs); }

    void begin(client::Connection& connection) override {
        connection.prepare("regions", R"(
            SELECT coalesce(r.region, '(none)'), d.devices, r.sample_count, d.temperature, r.avg_temperature, d.humidity
            FROM telemetry.region_stats r
            LEFT JOIN (
                SELECT region, count(*) AS devices, avg(last_temperature) AS temperature, avg(last_humidity) AS humidity
                FROM telemetry.device_stats GROUP BY region) d ON d.region IS NOT DISTINCT FROM r.region
            ORDER BY r.region LIMIT $1::int)");
        // The table shows the same devices each time, as many of every region, because rows that jump cannot be read.
        connection.prepare("devices", R"(
            SELECT device_id, coalesce(region, '(none)'), sample_count, last_temperature, avg_temperature, min_temperature,
                   max_temperature, last_humidity, to_char(last_seen, 'DD Mon HH24:MI')
            FROM (SELECT *, row_number() OVER (PARTITION BY region ORDER BY device_id) AS place FROM telemetry.device_stats) AS d
            ORDER BY place, region LIMIT $1::int)");
    }

    void show(const Interval& i, client::Connection& connection) override {
        remember(rates_, static_cast<double>(i.sent) / std::max(i.seconds, 0.001));
        for (const double lag : i.lag_ms) {
            lags_.push_back(lag);
            if (lags_.size() > kLagLooks) lags_.pop_front();
        }
        if (!i.lag_ms.empty()) remember(lag_history_, *std::max_element(i.lag_ms.begin(), i.lag_ms.end()));
        messages_ += static_cast<std::int64_t>(i.payloads.size());
        for (const std::string& payload : i.payloads) {
            std::deque<std::string>& kind = payload.find(kEvents) == std::string::npos ? pointers_ : telling_;
            kind.push_back(payload);
            if (kind.size() > kMostPayloads) kind.pop_front();
        }

        const Terminal::Size size = Terminal::size();
        // The last row stays free for the cursor. The last column stays free because some terminals wrap after it.
        width_ = std::max(size.columns - 1, 20);
        const int rows = std::max(size.rows - 1, 6);
        const std::string region_limit = std::to_string(kMostRegions), device_limit = std::to_string(kMostDevices);
        const client::Result regions = connection.run_prepared("regions", {{region_limit}});
        const client::Result devices = connection.run_prepared("devices", {{device_limit}});

        lines_.clear();
        draw_figures(i);
        draw_relay(i.relay);
        draw_regions(regions);
        const int left = rows - static_cast<int>(lines_.size()) - 2 - 2;  // two headings with an empty line above
        const int payloads = std::clamp(left / 3, 0, kMostPayloads);
        draw_devices(devices, std::max(left - payloads, 0));
        draw_notifications(payloads);
        if (static_cast<int>(lines_.size()) > rows) lines_.erase(lines_.begin() + rows, lines_.end());
        print(size);
    }

private:
    Line line() const { return {terminal_, width_}; }
    void add(const Line& line) { lines_.push_back(line.text()); }
    std::string degrees() const { return terminal_.utf8 ? "°C" : "C"; }

    void draw_figures(const Interval& i) {
        const double total = static_cast<double>(std::max<std::int64_t>(totals_.work_total, 1));
        const double part = static_cast<double>(totals_.work_done) / total;
        std::string done = totals_.simulated ? fixed(part * total / 1000, 0) + " of " + fixed(total / 1000, 0) + " s"
                                             : fixed(part * 100, 0) + " %";
        Line title = line();
        title.put(" telemetry_cqrs  ", Style::kBold).put(totals_.simulated ? "200 devices stream " : "a file is loaded   ");
        title.put(" ").progress(part, std::max(title.room() - 16, 4)).right(done, 14, Style::kBold);
        add(title);
        add(line());

        Line rate = line();
        const double shown = mean_of_last(rates_, 1000 / kIntervalMs);
        rate.left(" readings/s", 13, Style::kDim).right(grouped(static_cast<std::int64_t>(shown)), 9, Style::kBold).put("  ");
        rate.bars(rates_, std::min(rate.room() - 1, 72), true, Style::kCyan);
        add(rate);

        Line lag = line();
        std::vector<double> sorted(lags_.begin(), lags_.end());
        std::sort(sorted.begin(), sorted.end());
        const auto percentile = [&](double p) {
            return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
        };
        const double p99 = percentile(0.99);
        lag.left(" lag ms", 13, Style::kDim).put("p50 ").right(fixed(percentile(0.5), 1), 5, Style::kBold);
        lag.put("  p99 ").right(fixed(p99, 1), 6, p99 < 100 ? Style::kGreen : p99 < 1000 ? Style::kYellow : Style::kRed);
        lag.put("  ").bars(lag_history_, std::min(lag.room() - 26, 40), true, Style::kGreen);
        lag.put("  waiting ").right(grouped(i.lag_events), 7).put(" events");
        add(lag);

        Line counts = line();
        counts.left(" accepted", 13, Style::kDim).right(grouped(totals_.accepted), 9, Style::kBold);
        counts.put("   sent again ", Style::kDim).put(grouped(totals_.duplicates), Style::kBold);
        counts.put("   refused ", Style::kDim)
            .put(grouped(totals_.refused), totals_.refused > 0 ? Style::kYellow : Style::kBold);
        if (totals_.simulated) counts.put("   late ", Style::kDim).put(grouped(totals_.late), Style::kBold);
        add(counts);
    }

    // What the relay has sent, and a line of what arrived.
    void draw_relay(const RelayFigures& relay) {
        if (!relay.has_nats && !relay.has_redis) return;
        add(line());
        const auto head = [this](const char* name, const std::string& state, const char* done, std::int64_t count,
                                 std::int64_t lag) {
            Line l = line();
            l.left(name, 13, Style::kDim).left(state, 12, state == "connected" ? Style::kGreen : Style::kYellow);
            l.put(done, Style::kDim)
                .put(grouped(count), Style::kBold)
                .put("   waiting ", Style::kDim)
                .put(grouped(lag), Style::kBold);
            return l;
        };
        if (relay.has_nats) {
            Line l = head(" NATS", relay.nats_state, "acknowledged ", relay.nats_acknowledged, relay.nats_lag);
            l.put("   a subscriber has ", Style::kDim).put(grouped(relay.nats_received), Style::kBold);
            add(l);
            add(line().put("   " + relay.subject + "  " + relay.payload, Style::kDim));
        }
        if (relay.has_redis) {
            add(head(" Redis", relay.redis_state, "values set ", relay.redis_sent, relay.redis_lag));
            add(line().put("   GET " + relay.key + "  " + relay.value, Style::kDim));
        }
    }

    void draw_regions(const client::Result& regions) {
        add(line());
        const int bars = std::clamp(width_ - 58, 4, 60);
        Line heading = line();
        heading.left(" region", 14, Style::kDim).right("devices", 8, Style::kDim).right("readings", 11, Style::kDim);
        heading.right("now %RH", 9, Style::kDim).right("avg " + degrees(), 9, Style::kDim).right("now", 7, Style::kDim);
        add(heading);
        for (int row = 0; row < regions.rows(); ++row) {
            const std::string name(regions.text(row, 0));
            std::vector<double>& history = temperatures_[name];
            if (!regions.is_null(row, 3)) remember(history, regions.number(row, 3));
            Line l = line();
            l.put(" ").left(name, 13).right(grouped(regions.integer(row, 1)), 8);
            l.right(grouped(regions.integer(row, 2)), 11, Style::kBold).right(number(regions, row, 5, 1), 9);
            l.right(number(regions, row, 4, 2), 9).right(number(regions, row, 3, 2), 7, Style::kBold);
            l.put("  ").bars_by_value(condensed(history, bars), bars);
            add(l);
        }
    }

    void draw_devices(const client::Result& devices, int most) {
        if (most == 0) return;
        add(line());
        Line heading = line();
        heading.left(" device", 20, Style::kDim).right("readings", 9, Style::kDim).right("now " + degrees(), 9, Style::kDim);
        heading.right("avg", 8, Style::kDim).right("min", 8, Style::kDim).right("max", 8, Style::kDim);
        if (width_ >= 86) heading.right("%RH", 7, Style::kDim);
        heading.right("measured", 15, Style::kDim);
        add(heading);
        for (int row = 0; row < std::min(devices.rows(), most); ++row) {
            Line l = line();
            l.put(" ").left(devices.text(row, 0), 19).right(grouped(devices.integer(row, 2)), 9);
            l.right(number(devices, row, 3, 2), 9, Style::kBold).right(number(devices, row, 4, 2), 8);
            l.right(number(devices, row, 5, 2), 8, Style::kBlue).right(number(devices, row, 6, 2), 8, Style::kRed);
            if (width_ >= 86) l.right(number(devices, row, 7, 1), 7);
            l.right(devices.text(row, 8), 15);
            add(l);
        }
    }

    void draw_notifications(int most) {
        if (most == 0) return;
        add(line());
        Line heading = line();
        heading.put(" NOTIFY telemetry_ingested", Style::kDim).put("  " + grouped(messages_), Style::kBold);
        heading.put(" received", Style::kDim);
        add(heading);
        // A notification with its events shows more than one that points to its batch. The view shows the newest of each kind.
        const int half = std::min((most + 1) / 2, static_cast<int>(telling_.size()));
        const int others = std::min(most - half, static_cast<int>(pointers_.size()));
        for (auto it = telling_.end() - half; it != telling_.end(); ++it) draw_notification(*it);
        for (auto it = pointers_.end() - others; it != pointers_.end(); ++it) draw_notification(*it);
    }

    void draw_notification(const std::string& payload) {
        Line l = line();
        const std::string batch = json_number(payload, "batch"), count = json_number(payload, "count");
        l.put(" batch ", Style::kDim)
            .right(batch, 6)
            .right(count, 6, Style::kBold)
            .left(count == "1" ? " event" : " events", 9);
        const std::size_t events = payload.find(kEvents);
        if (events == std::string::npos)
            l.put("read_events(" + batch + ") has them", Style::kDim);
        else
            l.put(json_text(payload, "device_id", events) + "  " + json_text(payload, "temperature", events) + " " + degrees() +
                  "  " + json_text(payload, "humidity", events) + " %RH" + (count == "1" ? "" : ", ..."));
        add(l);
    }

    // One write keeps the picture from flickering. Wrapping is off, so that a wide character cannot make two lines of one.
    void print(const Terminal::Size& size) {
        std::string out = "\033[?25l\033[?7l";
        if (drawn_ > 0 && size.columns == size_.columns && size.rows == size_.rows)
            out += "\033[" + std::to_string(drawn_) + "A\r";
        else if (drawn_ > 0)
            out += "\033[2J\033[H";
        for (const std::string& one : lines_) out += one + "\033[K\n";
        out += "\033[J\033[?7h\033[?25h";
        std::fwrite(out.data(), 1, out.size(), stdout);
        std::fflush(stdout);
        drawn_ = lines_.size();
        size_ = size;
    }

    static std::string number(const client::Result& result, int row, int column, int digits) {
        return result.is_null(row, column) ? "-" : fixed(result.number(row, column), digits);
    }

    static double mean_of_last(const std::vector<double>& values, int count) {
        const int n = std::min(count, static_cast<int>(values.size()));
        double sum = 0;
        for (int i = 0; i < n; ++i) sum += values[values.size() - 1 - static_cast<std::size_t>(i)];
        return n == 0 ? 0 : sum / n;
    }

    const Totals& totals_;
    const Terminal terminal_;
    int width_ = 79;
    std::vector<std::string> lines_;
    std::size_t drawn_ = 0;
    Terminal::Size size_{0, 0};

    std::vector<double> rates_, lag_history_;
    std::deque<double> lags_;
    std::map<std::string, std::vector<double>> temperatures_;
    std::deque<std::string> telling_, pointers_;  // payloads with and without their events
    std::int64_t messages_ = 0;
};

}  // namespace

std::unique_ptr<View> live_view(const Totals& totals) {
    return std::make_unique<LiveView>(totals);
}

}  // namespace fleet
