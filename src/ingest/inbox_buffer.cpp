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
    if (buffer.requests == nullptr) buffer.requests = static_cast<Request*>(palloc(sizeof(Request) * kInboxRows));
    Request& request = buffer.requests[buffer.count];
    request = Request{};
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
    ++buffer.count;
}

bool is_full(const InboxBuffer& buffer) {
    return buffer.count >= kInboxRows || MemoryContextMemAllocated(buffer.memory, false) >= kInboxBytes;
}

void forget_rows(InboxBuffer& buffer) {
    MemoryContextReset(buffer.memory);
    buffer.requests = nullptr;
    buffer.count = 0;
}

}  // namespace ingest
