// Completes requests: metrics are read as the JSON door reads them, and flaws are put into words. In a database that is not in
// UTF-8 it converts the texts.
#include "ingest/inbox_text.hpp"

#include <utility>

#include "error_codes.hpp"
#include "ingest/refused.hpp"
#include "model/json_scan.hpp"
#include "model/json_text.hpp"
#include "model/name_text.hpp"
#include "postgres/encoding.hpp"

namespace ingest {
namespace {

constexpr std::string_view kColumnNames[kInboxColumns] = {"device_id",       "measured_at", "temperature", "humidity",
                                                          "idempotency_key", "metrics",     "region"};

std::string of_device(const Request& request, std::string_view device_id) {
    return request.has_device_id ? " of device " + model::quoted_for_message(device_id) : "";
}

model::RefusalText describe(const Request& request, const TextRow& row) {
    const std::string name(kColumnNames[row.flawed_column]);
    const bool is_time = row.flawed_column == kInboxMeasuredAt;
    const bool is_out_of_range = row.flaw == postgres::InputFlaw::kOutOfRange;
    model::RefusalText refusal;
    refusal.sqlstate = !is_out_of_range ? error_codes::kInvalidJson
                       : is_time        ? error_codes::kMeasuredAtOutOfRange
                                        : error_codes::kNotFinite;
    refusal.message = name + (is_out_of_range ? " is out of range" : " is not readable");
    refusal.detail = name + of_device(request, request.reading.device_id) + " is " +
                     model::quoted_for_message(row.texts[row.flawed_column].value_or("")) + ".";
    refusal.hint = is_time ? "Send a time that the server reads as timestamptz, best in ISO 8601 with its zone."
                           : "Send a number, or NULL where there is no value.";
    return refusal;
}

// The row as a JSON object of texts. It is ASCII.
std::string json_of(const TextRow& row) {
    std::string json;
    for (int i = 0; i < kInboxColumns; ++i) {
        if (!row.texts[i]) continue;
        json += json.empty() ? '{' : ',';
        model::append_json_string(json, kColumnNames[i]);
        json += ':';
        const auto utf8 = postgres::marked_utf8(*row.texts[i]);
        model::append_json_string(json, utf8 ? std::string_view(*utf8) : *row.texts[i]);
    }
    return json.empty() ? "{}" : json + '}';
}

}  // namespace

InboxTextReader::InboxTextReader() {
    metrics_reader_.emplace(model::TimeUnit::kNone, memory_);
}

void InboxTextReader::complete(Request& request, const TextRow& row) {
    if (row.flaw != postgres::InputFlaw::kNone)
        refuse(request, row, describe(request, row));
    else if (row.texts[kInboxMetrics])
        read_metrics(request, row);
}

// The reader takes whole items. So the metrics are put into one, once it is certain that they are one value.
void InboxTextReader::read_metrics(Request& request, const TextRow& row) {
    const auto utf8 = postgres::marked_utf8(*row.texts[kInboxMetrics]);
    const std::string_view sent = utf8 ? std::string_view(*utf8) : *row.texts[kInboxMetrics];
    const auto utf8_device = postgres::marked_utf8(request.reading.device_id);
    const std::string_view device_id = utf8_device ? std::string_view(*utf8_device) : request.reading.device_id;
    const std::size_t begin = model::skip_json_space(sent, 0);
    const std::size_t end = model::end_of_json_value(sent, begin);
    if (end == sent.npos || model::skip_json_space(sent, end) != sent.size()) {
        refuse(request, row,
               encoded({error_codes::kInvalidMetrics, "metrics are not JSON",
                        "metrics" + of_device(request, device_id) + " are " + model::quoted_for_message(sent) + ".",
                        "Send an object of numbers, such as {\"light\": 185.7}."}));
        return;
    }
    std::string& item = texts_.emplace_back("{\"device_id\":\"-\",\"metrics\":");
    item += sent;
    item += '}';
    if (metrics_reader_->read(item) == model::JsonItemReader::kNotFound ||
        metrics_reader_->flaw().kind != model::ItemFlawKind::kNone)
        refuse(request, row, encoded(model::describe(metrics_reader_->flaw(), sent, device_id)));
    else
        request.reading.metrics = metrics_reader_->reading().metrics;
    if (utf8 && request.flaw == nullptr) encode_names(request, row);
}

void InboxTextReader::encode_names(Request& request, const TextRow& row) {
    const auto sent = request.reading.metrics;
    auto& metrics = metrics_.emplace_back(sent.begin(), sent.end());
    for (model::Metric& each : metrics) {
        auto name = postgres::from_utf8(each.name);
        if (!name) return refuse(request, row, character_lost());
        each.name = texts_.emplace_back(*std::move(name));
    }
    request.reading.metrics = metrics;
}

void InboxTextReader::refuse(Request& request, const TextRow& row, model::RefusalText refusal) {
    request.flaw = &refusals_.emplace_back(std::move(refusal));
    request.item = texts_.emplace_back(json_of(row));
}

void InboxTextReader::forget_rows() {
    metrics_reader_.reset();
    memory_.release();
    metrics_reader_.emplace(model::TimeUnit::kNone, memory_);
    refusals_.clear();
    texts_.clear();
    metrics_.clear();
}

}  // namespace ingest
