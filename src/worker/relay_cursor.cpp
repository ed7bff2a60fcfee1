// Runs the relay's statements as the extension's owner.
#include "worker/relay_cursor.hpp"

#include <utility>
#include <vector>

#include "feed/open_batch.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/latest_snapshot.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "postgres/wal.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"
#include "runtime/relay_report.hpp"
#include "subscription/kept_batches.hpp"
#include "subscription/share_reader.hpp"
#include "subscription/stored_place.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

using subscription::Place;

constexpr std::int64_t kMostScanned = PG_INT64_MAX;  // the relay wants every event

postgres::Statement select_row{
    postgres::SqlCommand::kSelect,
    "SELECT h.batch_id, h.partial_xid, h.partial_event_id, r.paused_at IS NOT NULL, s.lost_at IS NOT NULL, "
    "(r.system_identifier, r.database, r.log, r.timeline) = (SELECT p.system_identifier, p.database, p.log, p.timeline FROM "
    "telemetry.current_place() AS p) "
    "FROM telemetry.relay r JOIN telemetry.subscription s ON s.subscription = $2 "
    "JOIN telemetry.subscription_share h ON h.subscription = $2 WHERE r.sink = $1",
    2,
    {TEXTOID, TEXTOID},
    nullptr};
postgres::Statement start_sink{
    postgres::SqlCommand::kSelect, "SELECT telemetry.start_relay($1, $2)", 2, {TEXTOID, TIMESTAMPTZOID}, nullptr};
// A place that is no end of a batch any more is passed over, because a later one will come. The statement sees what was
// committed since the row was read, so it moves no place that somebody has moved meanwhile. A row that somebody has locked is
// passed over, too: the relay must not wait for the end of another transaction.
postgres::Statement move{postgres::SqlCommand::kUpdate,
                         "UPDATE telemetry.subscription_share AS h SET batch_id = $2, partial_xid = $3, partial_event_id = $4, "
                         "lease = CASE WHEN (h.lease_batch_id, h.lease_partial_xid, h.lease_partial_event_id) IS NOT DISTINCT "
                         "FROM ($2, $3, $4) THEN NULL ELSE h.lease END "
                         "FROM (SELECT c.first_lane FROM telemetry.subscription_share c WHERE c.subscription = $1 "
                         "FOR UPDATE SKIP LOCKED) AS free "
                         "WHERE h.subscription = $1 AND h.first_lane = free.first_lane "
                         "AND ($2 = 0 OR EXISTS (SELECT FROM telemetry.batch b WHERE b.batch_id = $2)) "
                         "AND (h.batch_id, h.partial_xid, h.partial_event_id) IS NOT DISTINCT FROM ($5, $6, $7)",
                         7,
                         {TEXTOID, INT8OID, XID8OID, INT8OID, INT8OID, XID8OID, INT8OID},
                         nullptr};
// The lease keeps the end of what was read from being merged. Nobody has it: the relay finds its share by name.
postgres::Statement hold_end{postgres::SqlCommand::kUpdate,
                             "UPDATE telemetry.subscription_share AS h SET lease = 0, lease_batch_id = $2, "
                             "lease_partial_xid = $3, lease_partial_event_id = $4 "
                             "FROM (SELECT c.first_lane FROM telemetry.subscription_share c WHERE c.subscription = $1 "
                             "FOR UPDATE SKIP LOCKED) AS free "
                             "WHERE h.subscription = $1 AND h.first_lane = free.first_lane",
                             4,
                             {TEXTOID, INT8OID, XID8OID, INT8OID},
                             nullptr};

// P.
bool flag_of(const postgres::StatementResult& rows, int column) {
    bool is_null = false;
    const Datum value = postgres::value_of(rows, 0, column, &is_null);
    return !is_null && DatumGetBool(value);
}

void run_with_places(postgres::Statement& statement, const std::string& name, const Place& place, const Place& before) {
    postgres::guarded([&] {
        Datum values[7] = {postgres::text_datum(name)};
        char nulls[] = "       ";
        subscription::set_place(place, values + 1, nulls + 1);
        subscription::set_place(before, values + 4, nulls + 4);
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(statement, values, nulls);
        postgres::close_statements(statements);
    });
}

}  // namespace

struct RelayCursor::Row {
    bool is_there = false;
    subscription::StoredPlace place{};
    bool is_paused = false, is_lost = false, is_adopted = false;
};

RelayCursor::RelayCursor(runtime::RelaySink sink) : sink_(runtime::name_of(sink)), subscription_("relay." + sink_) {}

RelayCursor::Row RelayCursor::find_row() const {
    return postgres::guarded([this] {
        Datum values[] = {postgres::text_datum(sink_), postgres::text_datum(subscription_)};
        const postgres::StatementScope statements = postgres::open_statements();
        const postgres::StatementResult rows = postgres::execute_kept(select_row, values);
        Row row{};
        row.is_there = rows.row_count > 0;
        if (row.is_there) {
            row.place = subscription::stored_place_of(rows, 0, 1);
            row.is_paused = flag_of(rows, 4);
            row.is_lost = flag_of(rows, 5);
            row.is_adopted = flag_of(rows, 6);
        }
        postgres::close_statements(statements);
        return row;
    });
}

bool RelayCursor::start() {
    return postgres::guarded([this] {
        if (starts_at_ == 0) starts_at_ = PgReloadTime;
        Datum values[] = {postgres::text_datum(sink_), TimestampTzGetDatum(starts_at_)};
        const postgres::StatementScope statements = postgres::open_statements();
        const bool is_started = flag_of(postgres::execute_kept(start_sink, values), 1);
        postgres::close_statements(statements);
        if (is_started) postgres::show_own_writes();
        return is_started;
    });
}

void RelayCursor::store(const Place& place) {
    run_with_places(move, subscription_, place, *stored_);
}

void RelayCursor::hold(const Place& end) const {
    run_with_places(hold_end, subscription_, end, {});
}

subscription::Filter everything() {
    return {.first_lane = 0, .last_lane = subscription::kLastLane, .devices = {}, .regions = {}, .types = {}};
}

subscription::Take take_of(RelayReader& reader) {
    return [&reader](std::span<const model::LoggedEvent* const> events, model::Epoch) { reader.take(events); };
}

// If the batch of which it has read a part was open, it may be closed now. Returns whether it has read anything.
bool RelayCursor::read_rest_of_batch(RelayReader& reader, ::Snapshot snapshot, model::BatchId at_most,
                                     std::int64_t& most_events) {
    const auto batch = feed::find_batch_after(read_to_.batch, snapshot);
    if (!batch || batch->batch_id > at_most) return false;
    const Ahead ahead = *std::exchange(ahead_, std::nullopt);
    if (batch->epoch != ahead.epoch) return false;  // a batch of another epoch came first, so the open one is read again
    const subscription::WindowRead read = subscription::read_window(
        {batch->epoch, model::window_between(ahead.position, batch->to), most_events}, everything(), snapshot, take_of(reader));
    most_events -= read.given;
    if (read.cut_at)
        ahead_ = Ahead{ahead.epoch, subscription::position_inside(ahead.position, batch->to, *read.cut_at)};
    else
        read_to_ = {batch->batch_id, std::nullopt};
    return true;
}

// Returns whether it has read anything. Where it has read a part of a batch, it remembers the position. A place inside the
// batch would mean other events once the batch is merged, and the sink may be away until then.
bool RelayCursor::read_batches(RelayReader& reader, ::Snapshot snapshot, model::BatchId at_most, std::int64_t& most_events) {
    const Place end =
        subscription::read_share(read_to_, everything(), {most_events, kMostScanned, at_most, std::nullopt}, snapshot,
                                 [&reader, &most_events](std::span<const model::LoggedEvent* const> events, model::Epoch) {
                                     most_events -= static_cast<std::int64_t>(events.size());
                                     reader.take(events);
                                 })
            .end;
    if (end == read_to_) return false;
    read_to_ = {end.batch, std::nullopt};
    if (end.partial) {
        const feed::Batch batch = feed::find_batch_after(end.batch, snapshot).value();
        ahead_ = Ahead{batch.epoch, subscription::position_inside(batch.from, batch.to, *end.partial)};
    }
    return true;
}

bool RelayCursor::read_open_batch(RelayReader& reader, ::Snapshot snapshot, std::int64_t& most_events) {
    const auto open = feed::open_batch_after(read_to_.batch, snapshot);
    if (!open || (ahead_ && ahead_->epoch != open->epoch)) return false;
    const model::Position from = ahead_ ? ahead_->position : open->from;
    if (from == open->to) return false;
    std::vector<model::Xid> transactions;
    const subscription::WindowRead read =
        subscription::read_window({open->epoch, model::window_between(from, open->to), most_events}, everything(), snapshot,
                                  [&reader, &transactions](std::span<const model::LoggedEvent* const> events, model::Epoch) {
                                      for (const model::LoggedEvent* event : events)
                                          if (transactions.empty() || transactions.back() != event->xid)
                                              transactions.push_back(event->xid);
                                      reader.take(events);
                                  });
    most_events -= read.given;
    ahead_ = Ahead{open->epoch, read.cut_at ? subscription::position_inside(from, open->to, *read.cut_at) : open->to};
    flush_to_ = commit_ends_.last_of(open->epoch, transactions);
    return true;
}

void RelayCursor::read(RelayReader& reader, RelayLook& look) {
    const Place begin = read_to_;
    const bool is_old = subscription::keep_from_merging(begin);
    const postgres::LatestSnapshot snapshot;
    std::int64_t left = reader.most_events();
    bool has_read = false;
    const model::BatchId at_most = reader.at_most();
    for (bool goes_on = true; goes_on;) {
        if (ahead_) has_read |= read_rest_of_batch(reader, snapshot.get(), at_most, left);
        if (!ahead_ && left > 0) has_read |= read_batches(reader, snapshot.get(), at_most, left);
        goes_on = left <= 0 && reader.takes_more();
        if (goes_on) left = reader.most_events();
    }
    bool has_read_open = false;
    if (reader.is_eager() && left > 0 && !read_to_.partial) has_read_open = read_open_batch(reader, snapshot.get(), left);
    look.end = read_to_;
    look.has_read = has_read || has_read_open;
    look.has_more = left <= 0;
    if (reader.complete(look.end, snapshot.get())) flush_to_ = postgres::guarded(postgres::end_of_log);
    snapshot.pop();
    if (is_old && look.end != begin) hold(look.end);
}

void RelayCursor::look_at(const Row& row, const std::optional<Place>& arrived, RelayReader* reader, RelayLook& look) {
    starts_at_ = 0;
    const Place place = subscription::place_of(row.place);
    look.has_jumped = !stored_ || place != *stored_;
    if (look.has_jumped) {
        read_to_ = place;
        stored_ = place;
        ahead_.reset();
    } else if (arrived && *arrived != place) {
        store(*arrived);
        postgres::guarded(postgres::show_own_writes);
        stored_ = subscription::place_of(find_row().place);
    }
    look.standing = row.is_lost      ? RelayStanding::kLost
                    : row.is_paused  ? RelayStanding::kPaused
                    : row.is_adopted ? RelayStanding::kMaySend
                                     : RelayStanding::kNotAdopted;
    look.place = *stored_;
    look.end = read_to_;
    if (look.standing == RelayStanding::kMaySend && reader != nullptr) read(*reader, look);
}

RelayLook RelayCursor::look(const std::optional<Place>& arrived, RelayReader* reader) {
    postgres::Transaction transaction;
    const bool is_there = postgres::guarded([] {
        if (!projection::hold_extension()) return false;
        PushActiveSnapshot(GetTransactionSnapshot());
        return true;
    });
    RelayLook look;
    if (!is_there) return look;
    flush_to_ = 0;
    const runtime::Installed& installed = runtime::installed();
    if (std::exchange(installation_, installed.extension) != installed.extension) {
        forget();  // the log of another installation has batches and epochs of the same numbers
        commit_ends_ = {};
    }
    {
        const postgres::AsOwner as_owner(installed.owner);
        Row row = find_row();
        if (!row.is_there && start()) row = find_row();
        if (row.is_there)
            look_at(row, arrived, reader, look);
        else
            look.standing = RelayStanding::kWaiting;
    }
    transaction.commit();
    if (flush_to_ != 0) postgres::guarded([this] { postgres::flush_log(flush_to_); });
    return look;
}

}  // namespace worker
