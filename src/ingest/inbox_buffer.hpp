// Holds the rows that a client inserts into an inbox, until there are enough to be stored at batch speed.
// This file is written wholly in P.
#pragma once

#include <optional>
#include <string_view>

#include "ingest/request.hpp"
#include "postgres/soft_input.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// Columns of telemetry.inbox and telemetry.inbox_text, counted from 0.
enum InboxColumn {
    kInboxDeviceId,
    kInboxMeasuredAt,
    kInboxTemperature,
    kInboxHumidity,
    kInboxIdempotencyKey,
    kInboxMetrics,
    kInboxRegion,
    kInboxColumns
};

constexpr int kInboxRows = 10000;
constexpr Size kInboxBytes = 8 << 20;

// The rows and all that they point to lie in `memory`, a child of the context of the transaction.
struct InboxBuffer {
    MemoryContext memory;
    Request* requests;  // room for kInboxRows
    int count;
};

void open_buffer(InboxBuffer& buffer);

// Raises nothing.
void close_buffer(InboxBuffer& buffer) noexcept;

// Copies a row of telemetry.inbox.
void add_row(InboxBuffer& buffer, TupleTableSlot* row);

// A row of telemetry.inbox_text, with the first value that the server's types cannot hold.
struct TextRow {
    std::optional<std::string_view> texts[kInboxColumns];
    postgres::InputFlaw flaw;
    InboxColumn flawed_column;
};

// Copies a row of telemetry.inbox_text, and reads its time and numbers. The caller reads the metrics.
TextRow add_text_row(InboxBuffer& buffer, TupleTableSlot* row);

// True: it is time to store the rows.
bool is_full(const InboxBuffer& buffer);

void empty_buffer(InboxBuffer& buffer);

}  // namespace ingest
