#include "batch.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace fleet {

void Batch::add(const Reading& reading) {
    const auto add_text = [](Array& array, const std::optional<std::string>& value) {
        if (value)
            array.add(*value);
        else
            array.add_null();
    };
    const auto add_number = [](Array& array, const std::optional<double>& value) {
        if (value)
            array.add_float8(*value);
        else
            array.add_null();
    };
    devices_.add(reading.device);
    add_text(measured_, reading.measured_at);
    add_number(temperatures_, reading.temperature);
    add_number(humidities_, reading.humidity);
    add_text(keys_, reading.key);
    add_text(metrics_, reading.metrics);
    add_text(regions_, reading.region);
}

void Batch::prepare(client::Connection& connection) {
    connection.prepare("batch",
                       "SELECT received, accepted, duplicates, conflicts + rejected FROM telemetry.ingest_telemetry_batch("
                       "$1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::text[], $6::jsonb[], $7::text[])");
}

void Batch::send(client::Connection& connection, Totals& totals) {
    if (size() == 0) return;
    const std::array values = {devices_.value(), measured_.value(), temperatures_.value(), humidities_.value(),
                               keys_.value(),    metrics_.value(),  regions_.value()};
    std::vector<client::Parameter> parameters(values.size());
    std::transform(values.begin(), values.end(), parameters.begin(),
                   [](const std::string& value) { return client::Parameter{value}; });
    const client::Result receipt = connection.run_prepared("batch", parameters);
    totals.sent += receipt.integer(0, 0);
    totals.accepted += receipt.integer(0, 1);
    totals.duplicates += receipt.integer(0, 2);
    totals.refused += receipt.integer(0, 3);
    *this = Batch();
}

}  // namespace fleet
