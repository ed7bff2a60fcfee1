// Copies rows out of the executor's memory, which does not outlive the row. This file is written wholly in P.
#include "ingest/inbox_buffer.hpp"

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

std::optional<std::string_view> copied_text_at(TupleTableSlot* row, InboxColumn column) {
    if (row->tts_isnull[column]) return std::nullopt;
    return postgres::view_of(static_cast<const text*>(postgres::copied_value(row->tts_values[column])));
}

// In the memory of the buffer, which is the current context.
Request& next_request(InboxBuffer& buffer) {
    if (buffer.requests == nullptr) buffer.requests = static_cast<Request*>(palloc(sizeof(Request) * kInboxRows));
    Request& request = buffer.requests[buffer.count++];
    request = Request{};
    return request;
}

}  // namespace

void open_buffer(InboxBuffer& buffer) {
    buffer.memory = AllocSetContextCreate(TopTransactionContext, "telemetry_cqrs inbox", ALLOCSET_DEFAULT_SIZES);
    buffer.requests = nullptr;
    buffer.count = 0;
}

void close_buffer(InboxBuffer& buffer) noexcept {
    if (buffer.memory != nullptr) MemoryContextDelete(buffer.memory);
    buffer = {};
}

void add_row(InboxBuffer& buffer, TupleTableSlot* row) {
    slot_getallattrs(row);
    const MemoryContext callers_context = MemoryContextSwitchTo(buffer.memory);
    Request& request = next_request(buffer);
    const Datum* value = row->tts_values;
    const bool* is_null = row->tts_isnull;
    const auto device_id = copied_text_at(row, kInboxDeviceId);
    request.has_device_id = device_id.has_value();
    if (device_id) request.reading.device_id = *device_id;
    if (!is_null[kInboxMeasuredAt]) request.reading.measured_at = DatumGetTimestampTz(value[kInboxMeasuredAt]);
    if (!is_null[kInboxTemperature]) request.reading.temperature = DatumGetFloat8(value[kInboxTemperature]);
    if (!is_null[kInboxHumidity]) request.reading.humidity = DatumGetFloat8(value[kInboxHumidity]);
    request.reading.idempotency_key = copied_text_at(row, kInboxIdempotencyKey);
    set_metrics(request,
                is_null[kInboxMetrics] ? nullptr : static_cast<Jsonb*>(postgres::copied_unpacked_value(value[kInboxMetrics])));
    request.reading.region = copied_text_at(row, kInboxRegion);
    MemoryContextSwitchTo(callers_context);
}

TextRow add_text_row(InboxBuffer& buffer, TupleTableSlot* row) {
    slot_getallattrs(row);
    const MemoryContext callers_context = MemoryContextSwitchTo(buffer.memory);
    Request& request = next_request(buffer);
    TextRow texts{};
    const char* strings[kInboxColumns];
    for (int i = 0; i < kInboxColumns; ++i) {
        strings[i] = row->tts_isnull[i] ? nullptr : postgres::c_string_of(row->tts_values[i]);
        if (strings[i] != nullptr) texts.texts[i] = strings[i];
    }
    const auto note = [&texts](InboxColumn column, postgres::InputFlaw flaw) {
        if (texts.flaw != postgres::InputFlaw::kNone || flaw == postgres::InputFlaw::kNone) return;
        texts.flaw = flaw;
        texts.flawed_column = column;
    };
    const auto number = [&](InboxColumn column, std::optional<double>& target) {
        if (strings[column] == nullptr) return;
        double value = 0;
        note(column, postgres::read_double(strings[column], value));
        target = value;
    };
    model::Reading& reading = request.reading;
    request.has_device_id = texts.texts[kInboxDeviceId].has_value();
    reading.device_id = texts.texts[kInboxDeviceId].value_or(std::string_view());
    if (strings[kInboxMeasuredAt] != nullptr) {
        TimestampTz at = 0;
        note(kInboxMeasuredAt, postgres::read_time(strings[kInboxMeasuredAt], at));
        reading.measured_at = at;
    }
    number(kInboxTemperature, reading.temperature);
    number(kInboxHumidity, reading.humidity);
    reading.idempotency_key = texts.texts[kInboxIdempotencyKey];
    reading.region = texts.texts[kInboxRegion];
    MemoryContextSwitchTo(callers_context);
    return texts;
}

bool is_full(const InboxBuffer& buffer) {
    return buffer.count >= kInboxRows || MemoryContextMemAllocated(buffer.memory, false) >= kInboxBytes;
}

void empty_buffer(InboxBuffer& buffer) {
    MemoryContextReset(buffer.memory);
    buffer.requests = nullptr;
    buffer.count = 0;
}

}  // namespace ingest
