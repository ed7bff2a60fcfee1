#include "load.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "csv_reader.hpp"

namespace fleet {
namespace {

constexpr int kBatch = 1000;

enum class Field { kDevice, kRegion, kMeasuredAt, kTemperature, kHumidity, kKey, kMetric };

Field field_of(const std::string& name) {
    if (name == "device_id") return Field::kDevice;
    if (name == "region") return Field::kRegion;
    if (name == "measured_at" || name == "timestamp") return Field::kMeasuredAt;
    if (name == "temperature") return Field::kTemperature;
    if (name == "humidity") return Field::kHumidity;
    if (name == "idempotency_key") return Field::kKey;
    return Field::kMetric;
}

double number(const std::string& text, const std::string& column, std::int64_t line) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw std::runtime_error("line " + std::to_string(line) + ": " + column + " is not a number: " + text);
    return value;
}

std::string json_string(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        if (static_cast<unsigned char>(c) < 0x20) throw std::runtime_error("the header has a control character");
        out.push_back(c);
    }
    return out + "\"";
}

}  // namespace

void load(std::istream& input, Totals& totals) {
    CsvReader csv(input);
    std::vector<std::string> names, cells;
    if (!csv.next(names)) throw std::runtime_error("the file has no header");
    std::vector<std::pair<Field, std::string>> columns;  // metric names as JSON
    bool has_device = false;
    for (const std::string& name : names) {
        columns.emplace_back(field_of(name), json_string(name));
        has_device = has_device || columns.back().first == Field::kDevice;
    }
    if (!has_device) throw std::runtime_error("the header has no column device_id");

    client::Connection connection("");
    Batch::prepare(connection);
    Batch batch;
    std::int64_t first_line = 0;
    const std::int64_t done_before = totals.work_done;
    const auto send = [&] {
        try {
            batch.send(connection, totals);
        } catch (const client::ServerError& error) {
            throw std::runtime_error("lines " + std::to_string(first_line) + " to " + std::to_string(csv.line()) + ": " +
                                     error.what());
        }
        totals.work_done = done_before + csv.bytes();
    };
    while (csv.next(cells)) {
        if (cells.size() != names.size())
            throw std::runtime_error("line " + std::to_string(csv.line()) + ": " + std::to_string(cells.size()) +
                                     " cells, the header has " + std::to_string(names.size()));
        if (batch.size() == 0) first_line = csv.line();
        Reading reading;
        std::string metrics;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const std::string& cell = cells[i];
            if (cell.empty()) continue;
            switch (columns[i].first) {
                case Field::kDevice:
                    reading.device = cell;
                    break;
                case Field::kRegion:
                    reading.region = cell;
                    break;
                case Field::kMeasuredAt:
                    reading.measured_at = cell;
                    break;
                case Field::kTemperature:
                    reading.temperature = number(cell, names[i], csv.line());
                    break;
                case Field::kHumidity:
                    reading.humidity = number(cell, names[i], csv.line());
                    break;
                case Field::kKey:
                    reading.key = cell;
                    break;
                case Field::kMetric: {
                    const double value = number(cell, names[i], csv.line());
                    if (!std::isfinite(value))  // JSON has no word for it
                        throw std::runtime_error("line " + std::to_string(csv.line()) + ": " + names[i] +
                                                 " is not finite: " + cell);
                    metrics += (metrics.empty() ? "{" : ", ") + columns[i].second + ": " + client::wire::text_float8(value);
                    break;
                }
            }
        }
        if (!metrics.empty()) reading.metrics = metrics + "}";
        batch.add(reading);
        if (batch.size() == kBatch) send();
    }
    send();
}

}  // namespace fleet
