// Brings the items of a JSON text into the form of requests. In a database that is not in UTF-8 it converts the texts.
#include "ingest/json_requests.hpp"

#include "ingest/refused.hpp"
#include "postgres/encoding.hpp"
#include "runtime/settings.hpp"

namespace ingest {

JsonRequests::JsonRequests(std::string_view sent, model::TimeUnit time_unit)
    : utf8_(postgres::marked_utf8(sent)),
      readings_(utf8_ ? std::string_view(*utf8_) : sent, time_unit,
                static_cast<std::size_t>(runtime::settings().max_batch_readings)) {
    requests_.reserve(readings_.items().size());
    for (const model::JsonItem& item : readings_.items()) {
        Request& request = requests_.emplace_back();
        request.reading = item.reading;
        request.has_device_id = !item.reading.device_id.empty() || item.refusal == nullptr;
        request.flaw = item.refusal;
        if (item.refusal != nullptr) request.item = item.text;
        if (!utf8_) continue;
        model::Reading& reading = request.reading;
        reading.device_id = encoded(reading.device_id, request);
        if (reading.idempotency_key) reading.idempotency_key = encoded(*reading.idempotency_key, request);
        if (reading.region) reading.region = encoded(*reading.region, request);
        auto& metrics = metrics_.emplace_back(reading.metrics.begin(), reading.metrics.end());
        for (model::Metric& each : metrics) each.name = encoded(each.name, request);
        reading.metrics = metrics;
        if (item.refusal != nullptr) request.flaw = &refusals_.emplace_back(ingest::encoded(*item.refusal));
        if (request.flaw != nullptr) request.item = texts_.emplace_back(postgres::from_utf8_lossily(item.text));
    }
}

std::optional<model::RefusalText> JsonRequests::refusal() const {
    const auto& refusal = readings_.refusal();
    if (!refusal || !utf8_) return refusal;
    return ingest::encoded(*refusal);
}

std::string_view JsonRequests::encoded(std::string_view utf8, Request& request) {
    std::optional<std::string> converted = postgres::from_utf8(utf8);
    if (!converted && request.flaw == nullptr) request.flaw = &character_lost();
    return texts_.emplace_back(converted ? *std::move(converted) : std::string());
}

}  // namespace ingest
