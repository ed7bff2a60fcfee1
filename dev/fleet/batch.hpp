// A batch of readings on its way to telemetry.ingest_telemetry_batch().
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "connection.hpp"
#include "totals.hpp"
#include "wire.hpp"

namespace fleet {

// nullopt is sent as NULL. measured_at is text, as the server reads it.
struct Reading {
    std::string device;
    std::optional<std::string> region;
    std::optional<std::string> measured_at;
    std::optional<double> temperature;
    std::optional<double> humidity;
    std::optional<std::string> metrics;  // a JSON object
    std::optional<std::string> key;
};

class Batch {
public:
    void add(const Reading& reading);
    int size() const { return devices_.count(); }

    // Stores the batch in a transaction of its own, adds the receipt to the totals, and empties the batch.
    void send(client::Connection& connection, Totals& totals);

    // The caller calls this once for each connection.
    static void prepare(client::Connection& connection);

private:
    using Array = client::wire::Array;
    using TypeOid = client::wire::TypeOid;
    static constexpr auto kFormat = client::wire::Format::kText;

    Array devices_{TypeOid::kText, kFormat}, measured_{TypeOid::kTimestamptz, kFormat},
        temperatures_{TypeOid::kFloat8, kFormat}, humidities_{TypeOid::kFloat8, kFormat}, keys_{TypeOid::kText, kFormat},
        metrics_{TypeOid::kJsonb, kFormat}, regions_{TypeOid::kText, kFormat};
};

}  // namespace fleet
