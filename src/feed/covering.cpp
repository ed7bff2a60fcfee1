// Covers gaps of the list. It writes the new batches natively, and moves an end of a neighbour by SQL where nothing lies
// between.
#include "feed/covering.hpp"

#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "event_log/window_reader.hpp"
#include "feed/position.hpp"
#include "feed/stored_position.hpp"
#include "model/batch_number.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

postgres::Statement move_end{postgres::SqlCommand::kUpdate,
                             "UPDATE telemetry.batch SET to_snapshot = $2::pg_snapshot, to_partial_xid = $3, "
                             "to_partial_event_id = $4 WHERE batch_id = $1",
                             4,
                             {INT8OID, TEXTOID, XID8OID, INT8OID},
                             nullptr};
postgres::Statement move_begin{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.batch SET from_snapshot = $2::pg_snapshot, from_partial_xid = $3, from_partial_event_id = $4 "
    "WHERE batch_id = $1",
    4,
    {INT8OID, TEXTOID, XID8OID, INT8OID},
    nullptr};

void move(postgres::Statement& statement, model::BatchId batch, const model::Position& position) {
    std::string snapshot;
    const StoredPosition to = stored(position, snapshot);
    postgres::guarded([&statement, batch, &to] {
        const char null = to.has_partial ? ' ' : 'n';
        const char nulls[] = {' ', ' ', null, null};
        Datum values[] = {Int64GetDatum(batch.value), CStringGetTextDatum(to.snapshot),
                          FullTransactionIdGetDatum(FullTransactionIdFromU64(to.partial_xid)),
                          Int64GetDatum(to.partial_event_id)};
        postgres::refuse_statement_obstacle(runtime::kBatchTable);
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(statement, values, nulls);
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
    const model::BatchId before = gap.before ? gap.before->batch_id : model::BatchId{};
    if (gap.after && before.value + 1 >= gap.after->batch_id.value)
        report_gap("There is no number between those of batches " + std::to_string(before.value) + " and " +
                   std::to_string(gap.after->batch_id.value) + ".");
    return {before.value + 1};
}

}  // namespace

std::optional<Gap> find_gap(const Progress& progress, model::BatchId cursor, ::Snapshot snapshot) {
    const std::optional<Batch> before = find_batch(cursor, snapshot), after = find_batch_after(cursor, snapshot);
    if (cursor.value > 0 && !before) report_gap("Batch " + std::to_string(cursor.value) + " is missing.");
    for (const EpochProgress& epoch : progress.epochs) {
        if (before && epoch.epoch < before->epoch) continue;
        const bool begins = before && epoch.epoch == before->epoch, ends = after && epoch.epoch == after->epoch;
        const model::Position from = begins ? before->to : start_of_epoch(epoch.first_xid);
        const model::Position to = ends ? after->from : epoch.batcher.batched_to;
        const bool has_batches = epoch.batcher.events > epoch.batcher.open_events;
        if (has_batches && from != to) return Gap{epoch.epoch, from, to, before, after};
        if (ends) break;
    }
    return std::nullopt;
}

void cover(const Gap& gap, std::int64_t most_rows, ::Snapshot snapshot) {
    const Read found = read(gap, most_rows, snapshot);
    if (found.events > 0)
        write_batch({.batch_id = number_in(gap),
                     .epoch = gap.epoch,
                     .from = gap.from,
                     .to = found.to,
                     .events = found.events,
                     .created_at = gap.after    ? gap.after->created_at
                                   : gap.before ? gap.before->created_at
                                                : 0},
                    snapshot);
    else if (gap.before && gap.before->epoch == gap.epoch)
        move(move_end, gap.before->batch_id, found.to);
    else if (gap.after && gap.after->epoch == gap.epoch && found.to == gap.to)
        move(move_begin, gap.after->batch_id, gap.from);
    else
        report_gap("Nothing is left of epoch " + std::to_string(gap.epoch.value) + ", of which batches tell.");
}

}  // namespace feed
