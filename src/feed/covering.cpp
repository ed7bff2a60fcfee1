// Covers gaps of the list. It writes the new batches natively, and moves an end of a neighbour by SQL where nothing lies
// between.
#include "feed/covering.hpp"

#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "event_log/window_reader.hpp"
#include "feed/position.hpp"
#include "feed/stored_position.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

postgres::Statement move_begin{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.batch SET from_snapshot = $2::pg_snapshot, from_partial_xid = $3, from_partial_event_id = $4 "
    "WHERE batch_id = $1",
    4,
    {INT8OID, TEXTOID, XID8OID, INT8OID},
    nullptr};

void move_begin_of(model::BatchId batch, const model::Position& position) {
    std::string snapshot;
    const StoredPosition to = stored(position, snapshot);
    postgres::guarded([batch, &to] {
        const char null = to.has_partial ? ' ' : 'n';
        const char nulls[] = {' ', ' ', null, null};
        Datum values[] = {Int64GetDatum(batch.value), postgres::text_datum(to.snapshot),
                          FullTransactionIdGetDatum(FullTransactionIdFromU64(to.partial_xid)),
                          Int64GetDatum(to.partial_event_id)};
        postgres::refuse_statement_obstacle(runtime::kBatchTable);
        const postgres::StatementScope statements = postgres::open_statements();
        if (postgres::execute_kept(move_begin, values, nulls).row_count != 1)
            elog(ERROR, "batch " INT64_FORMAT " was not changed", batch.value);
        postgres::close_statements(statements);
    });
}

[[noreturn]] void report_gap(const std::string& detail) {
    throw postgres::Error(error_codes::kLogWasAltered, "telemetry.batch has a gap", detail,
                          "Somebody deleted rows. A projection that is behind cannot go on without them.");
}

struct Read {
    std::int64_t events = 0;
    model::Position to;
};

// Reads from a position, at most so many rows but at least one event, if there is one before `to`.
Read read_part(const model::Position& from, const model::Position& to, model::Epoch epoch, std::int64_t most_rows,
               ::Snapshot snapshot) {
    event_log::WindowReader reader(model::window_between(from, to), epoch, snapshot);
    Read read{.events = 0, .to = from};
    for (std::int64_t rows = 0; rows < most_rows || read.events == 0;) {
        const event_log::Block block = reader.read(std::max<std::int64_t>(most_rows - rows, 1));
        if (block.rows == 0) break;
        rows += block.rows;
        read.events += block.events;
    }
    const auto last_row = reader.last_row();
    if (reader.at_end())
        read.to = to;
    else if (last_row && from.snapshot == to.snapshot)
        read.to = {.snapshot = to.snapshot, .partial = last_row};
    else if (last_row)
        read.to = model::position_after(from, to.snapshot, *last_row, reader.is_at_transaction_end());
    reader.close();
    return read;
}

// A position can cut only one transaction. So if the gap ends inside one, it is read in two steps: up to that transaction, then
// the part of it.
Read read(const Gap& gap, std::int64_t most_rows, ::Snapshot snapshot) {
    if (!gap.to.partial || gap.from.snapshot == gap.to.snapshot)
        return read_part(gap.from, gap.to, gap.epoch, most_rows, snapshot);
    const model::Position before_cut{.snapshot = gap.to.snapshot, .partial = {}};
    const Read first = read_part(gap.from, before_cut, gap.epoch, most_rows, snapshot);
    return first.events > 0 ? first : read_part(before_cut, gap.to, gap.epoch, most_rows, snapshot);
}

// The number of the next batch in the gap.
model::BatchId number_in(const Gap& gap) {
    const model::BatchId number{gap.after.value + 1};
    if (number >= gap.below)
        report_gap("There is no number between those of batches " + std::to_string(gap.after.value) + " and " +
                   std::to_string(gap.below.value) + ".");
    return number;
}

}  // namespace

std::optional<Gap> find_gap(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot) {
    if (cursor.batch.value > 0 && !find_batch(cursor.batch, snapshot))
        report_gap("Batch " + std::to_string(cursor.batch.value) + " is missing.");
    const auto next = find_batch_after(cursor.batch, snapshot);
    for (const EpochProgress& epoch : progress.epochs) {
        if (next ? next->epoch != epoch.epoch : cursor.batch >= epoch.batcher.last_batch) continue;
        const auto from = position_in(epoch, cursor, snapshot);
        const model::Position to = next ? next->from : epoch.batcher.batched_to;
        if (!from || *from == to) continue;
        const model::BatchId below = next ? next->batch_id : model::BatchId{epoch.batcher.last_batch.value + 1};
        return Gap{epoch.epoch, *from, to, cursor.batch, below, next ? next->created_at : epoch.batcher.batched_as_of};
    }
    return std::nullopt;
}

void cover(const Gap& gap, std::int64_t most_rows, ::Snapshot snapshot) {
    const Read found = read(gap, most_rows, snapshot);
    if (found.events > 0) {
        write_batch({.batch_id = number_in(gap),
                     .epoch = gap.epoch,
                     .from = gap.from,
                     .to = found.to,
                     .events = found.events,
                     .created_at = gap.created_at},
                    snapshot);
        return;
    }
    // Nothing lies between, so the next batch may as well begin here.
    const auto next = find_batch_after(gap.after, snapshot);
    if (!next || next->epoch != gap.epoch)
        report_gap("Nothing is left of the last batches of epoch " + std::to_string(gap.epoch.value) + ".");
    move_begin_of(next->batch_id, gap.from);
}

}  // namespace feed
