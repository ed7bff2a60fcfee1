// Runs the statements of leases. The rules are in sql/extension/78_leases.sql.
#include "subscription/lease.hpp"

#include <algorithm>

#include "feed/batch.hpp"
#include "postgres/error.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/array.hpp"
#include "subscription/stored_place.hpp"

#include "postgres/pg.hpp"

namespace subscription {
namespace {

postgres::Statement take{
    postgres::SqlCommand::kSelect,
    "SELECT first_lane, last_lane, batch_id, partial_xid, partial_event_id, at_most, most_events, lease, is_retry, "
    "devices, regions, types, held FROM telemetry.take_share($1, $2, $3, $4, $5)",
    5,
    {TEXTOID, TEXTOID, INT4OID, INTERVALOID, TEXTOID},
    nullptr};
enum TakenColumn {
    kFirstLaneColumn = 1,
    kLastLaneColumn,
    kBatchId,  // a place, of three columns
    kAtMost = kBatchId + 3,
    kMostEvents,
    kLease,
    kIsRetry,
    kDevices,
    kRegions,
    kTypes,
    kHeld
};

postgres::Statement grant{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.subscription_share SET consumer = $3, lease = $4, leased_until = pg_catalog.clock_timestamp() + $5, "
    "lease_batch_id = $6, lease_partial_xid = $7, lease_partial_event_id = $8, lease_events = $9 "
    "WHERE subscription = $1 AND first_lane = $2",
    9,
    {TEXTOID, INT2OID, TEXTOID, INT8OID, INTERVALOID, INT8OID, XID8OID, INT8OID, INT4OID},
    nullptr};
postgres::Statement skip{postgres::SqlCommand::kUpdate,
                         "UPDATE telemetry.subscription_share SET batch_id = $3, partial_xid = $4, partial_event_id = $5 "
                         "WHERE subscription = $1 AND first_lane = $2",
                         5,
                         {TEXTOID, INT2OID, INT8OID, XID8OID, INT8OID},
                         nullptr};
postgres::Statement hold{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.redelivery (subscription, lane, device_id, batch_id, xid, event_id, epoch, type, version, payload, "
    "received_at, attempts, due_at, lease) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::json, $11, 0, "
    "(SELECT pg_catalog.max(r.due_at) FROM telemetry.redelivery r WHERE r.subscription = $1 AND r.lane = $2 AND r.device_id = "
    "$3), "
    "$12 "
    // It is there already if it was a dead letter.
    "ON CONFLICT (subscription, lane, device_id, batch_id, xid, event_id) DO NOTHING",
    12,
    {TEXTOID, INT2OID, TEXTOID, INT8OID, XID8OID, INT8OID, INT4OID, TEXTOID, INT2OID, TEXTOID, TIMESTAMPTZOID, INT8OID},
    nullptr};

postgres::Statement let_go{postgres::SqlCommand::kUpdate,
                           "UPDATE telemetry.redelivery SET lease = NULL WHERE subscription = $1 AND lease = $2",
                           2,
                           {TEXTOID, INT8OID},
                           nullptr};

using Texts = postgres::GrowingArray<std::string_view>;

struct Taken {
    bool is_found;
    std::int16_t first_lane, last_lane;
    StoredPlace place;
    std::int64_t at_most, lease;
    std::int32_t most_events;
    bool is_retry;
    Texts devices, regions, types, held;
};

// P.
Texts list_of(const postgres::StatementResult& rows, int column, MemoryContext memory) {
    bool is_null = false;
    const Datum value = postgres::value_of(rows, 0, column, &is_null);
    if (is_null) return {};
    const MemoryContext caller = MemoryContextSwitchTo(memory);
    const Texts texts = postgres::texts_of(PointerGetDatum(DatumGetArrayTypePCopy(value)));
    MemoryContextSwitchTo(caller);
    return texts;
}

// P.
Datum taken_value(const postgres::StatementResult& rows, TakenColumn column, Datum if_null) {
    bool is_null = false;
    const Datum value = postgres::value_of(rows, 0, column, &is_null);
    return is_null ? if_null : value;
}

// P.
Taken taken_of(const postgres::StatementResult& rows, MemoryContext memory) {
    Taken taken{};
    taken.lease = DatumGetInt64(taken_value(rows, kLease, 0));
    taken.is_found = taken.lease != 0;
    if (!taken.is_found) return taken;
    taken.first_lane = DatumGetInt16(taken_value(rows, kFirstLaneColumn, 0));
    taken.last_lane = DatumGetInt16(taken_value(rows, kLastLaneColumn, 0));
    taken.place = stored_place_of(rows, 0, kBatchId);
    taken.at_most = DatumGetInt64(taken_value(rows, kAtMost, Int64GetDatum(feed::kNoBatchLimit.value)));
    taken.most_events = DatumGetInt32(taken_value(rows, kMostEvents, 0));
    taken.is_retry = DatumGetBool(taken_value(rows, kIsRetry, BoolGetDatum(false)));
    taken.devices = list_of(rows, kDevices, memory);
    taken.regions = list_of(rows, kRegions, memory);
    taken.types = list_of(rows, kTypes, memory);
    taken.held = list_of(rows, kHeld, memory);
    return taken;
}

std::vector<std::string> strings_of(const Texts& texts) {
    return {texts.begin(), texts.end()};
}

}  // namespace

std::optional<Offer> take_share(const LeaseRequest& request) {
    const postgres::ScopedMemory memory("telemetry_cqrs share");
    const Taken taken = postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(request.subscription), postgres::text_datum(request.consumer),
                          Int32GetDatum(request.most_events), request.lease_time, postgres::text_datum(request.caller)};
        const postgres::StatementScope statements = postgres::open_statements();
        const Taken result = taken_of(postgres::execute_kept(take, values), memory.get());
        postgres::close_statements(statements);
        return result;
    });
    if (!taken.is_found) return std::nullopt;
    Offer offer{.filter = {taken.first_lane, taken.last_lane, strings_of(taken.devices), strings_of(taken.regions),
                           strings_of(taken.types)},
                .place = place_of(taken.place),
                .at_most = model::BatchId{taken.at_most},
                .most_events = taken.most_events,
                .lease = taken.lease,
                .is_retry = taken.is_retry,
                .held = strings_of(taken.held)};
    std::sort(offer.held.begin(), offer.held.end());
    return offer;
}

void grant_lease(const LeaseRequest& request, const Offer& offer, const Place& end, std::int64_t events) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(request.subscription),
                          Int16GetDatum(offer.filter.first_lane),
                          postgres::text_datum(request.consumer),
                          Int64GetDatum(offer.lease),
                          request.lease_time,
                          0,
                          0,
                          0,
                          Int32GetDatum(static_cast<std::int32_t>(events))};
        char nulls[] = "         ";
        set_place(end, values + 5, nulls + 5);
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(grant, values, nulls);
        postgres::close_statements(statements);
    });
}

void skip_to(const LeaseRequest& request, const Offer& offer, const Place& end) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(request.subscription), Int16GetDatum(offer.filter.first_lane), 0, 0, 0};
        char nulls[] = "     ";
        set_place(end, values + 2, nulls + 2);
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(skip, values, nulls);
        postgres::close_statements(statements);
    });
}

void hold_back(const LeaseRequest& request, const Offer& offer, const model::LoggedEvent& event, model::Epoch epoch,
               std::string_view payload) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(request.subscription),
                          Int16GetDatum(lane_of(event.device_id)),
                          postgres::text_datum(event.device_id),
                          Int64GetDatum(offer.place.batch.value),
                          FullTransactionIdGetDatum(FullTransactionIdFromU64(event.xid.value)),
                          Int64GetDatum(event.event_id.value),
                          Int32GetDatum(epoch.value),
                          postgres::text_datum(event.type),
                          Int16GetDatum(static_cast<std::int16_t>(event.version)),
                          postgres::text_datum(payload),
                          TimestampTzGetDatum(event.received_at),
                          Int64GetDatum(offer.lease)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(hold, values);
        postgres::close_statements(statements);
    });
}

void let_wait(const LeaseRequest& request, const Offer& offer) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(request.subscription), Int64GetDatum(offer.lease)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(let_go, values);
        postgres::close_statements(statements);
    });
}

}  // namespace subscription
