// SQL functions next_batch and leased_events: events of a subscription as rows.
#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "error_codes.hpp"
#include "feed/batch.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/internal_function.hpp"
#include "postgres/kept_memory.hpp"
#include "postgres/latest_snapshot.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "postgres/array.hpp"
#include "runtime/installed.hpp"
#include "subscription/kept_batches.hpp"
#include "subscription/lease.hpp"
#include "subscription/payloads.hpp"
#include "subscription/share_reader.hpp"

#include "postgres/pg.hpp"

namespace subscription {
namespace {

constexpr std::int32_t kMostEvents = 100000;
constexpr std::size_t kLongestConsumer = 255;  // bytes; the name is in an index
constexpr std::int64_t kMostScanned = 100000;  // events that the subscription does not want; a call reads so many and returns
constexpr std::int64_t kUnlimited = PG_INT64_MAX;

postgres::Statement select_retried{
    postgres::SqlCommand::kSelect,
    "SELECT r.event_id, r.type, r.version, r.device_id, r.payload, r.received_at, r.epoch, r.attempts + 1 "
    "FROM telemetry.redelivery r WHERE r.subscription = $1 AND r.lease = $2 ORDER BY r.batch_id, r.xid, r.event_id",
    2,
    {TEXTOID, INT8OID},
    nullptr};

// The rows of telemetry.next_batch().
class DeliveredRows {
public:
    DeliveredRows(FunctionCallInfo fcinfo, std::int64_t lease)
        : result_(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)), lease_(lease), memory_("telemetry_cqrs rows") {
        type_ = device_id_ = {memory_.get(), nullptr, 0};
    }

    void put(std::span<const model::LoggedEvent* const> events, model::Epoch epoch) {
        payloads_.render(events);
        postgres::guarded([this, events, epoch] {
            Datum type = 0;
            const char* name_of_type = nullptr;  // most events have the same, at the same place
            for (std::size_t i = 0; i < events.size(); ++i) {
                const model::LoggedEvent& event = *events[i];
                if (event.type.data() != name_of_type) type = postgres::text_datum(type_, event.type);
                name_of_type = event.type.data();
                put_row(Int64GetDatum(event.event_id.value), type, Int16GetDatum(static_cast<std::int16_t>(event.version)),
                        postgres::text_datum(device_id_, event.device_id), payloads_.datum(i),
                        TimestampTzGetDatum(event.received_at), Int32GetDatum(epoch.value), Int32GetDatum(1));
            }
        });
        count_ += static_cast<std::int64_t>(events.size());
    }

    void put_retried(std::string_view subscription) {
        postgres::guarded([this, subscription] {
            Datum values[] = {postgres::text_datum(subscription), Int64GetDatum(lease_)};
            const postgres::StatementScope statements = postgres::open_statements();
            const postgres::StatementResult rows = postgres::execute_kept(select_retried, values);
            for (std::uint64_t row = 0; row < rows.row_count; ++row) {
                bool is_null = false;
                Datum columns[8];
                for (int i = 0; i < 8; ++i) columns[i] = postgres::value_of(rows, row, i + 1, &is_null);
                put_row(columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], columns[7]);
            }
            postgres::close_statements(statements);
        });
    }

    std::int64_t count() const noexcept { return count_; }

private:
    // P.
    template <typename... Values>
    void put_row(Values... rest) {
        Datum values[] = {Int64GetDatum(lease_), rest...};
        bool nulls[lengthof(values)] = {};
        tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    }

    ReturnSetInfo* result_;
    std::int64_t lease_;
    postgres::ScopedMemory memory_;
    postgres::ReusedText type_, device_id_;
    Payloads payloads_;
    std::int64_t count_ = 0;
};

// Gives the events of devices that must wait to the lease, and the others to the rows.
void deliver(std::span<const model::LoggedEvent* const> events, model::Epoch epoch, const LeaseRequest& request,
             const Offer& offer, DeliveredRows& rows) {
    if (offer.held.empty()) return rows.put(events, epoch);
    std::vector<const model::LoggedEvent*> free, waiting;
    for (const model::LoggedEvent* event : events) {
        const bool must_wait = std::binary_search(offer.held.begin(), offer.held.end(), event->device_id, std::less<>());
        (must_wait ? waiting : free).push_back(event);
    }
    Payloads payloads;
    payloads.render(waiting);
    for (std::size_t i = 0; i < waiting.size(); ++i) hold_back(request, offer, *waiting[i], epoch, payloads.of(i));
    if (!free.empty()) rows.put(free, epoch);
}

// A place is the end of a batch that is in the list.
void require_place(const LeaseRequest& request, const Place& place, ::Snapshot snapshot) {
    if (place.batch.value == 0 || feed::find_batch(place.batch, snapshot)) return;
    throw postgres::Error(error_codes::kSubscriptionLost, "subscription \"" + request.subscription + "\" is lost",
                          "Batch " + std::to_string(place.batch.value) + ", where it stands, has been merged with others.",
                          "Take what its consumers lack from telemetry.events or from the statistics, then call "
                          "telemetry.restart_subscription().");
}

// Delivers events of the share. Returns how many it has read of which none is delivered; 0: it has delivered some, or there are
// none.
std::int64_t deliver_from(const Offer& offer, const LeaseRequest& request, DeliveredRows& rows) {
    (void)keep_from_merging(offer.place);
    const postgres::LatestSnapshot snapshot;
    if (offer.is_retry) {
        rows.put_retried(request.subscription);
        snapshot.pop();
        return 0;
    }
    require_place(request, offer.place, snapshot.get());
    const ReadLimits limits{offer.most_events, kMostScanned, offer.at_most, std::nullopt};
    bool has_held_back = false;
    const auto [end, scanned] = read_share(offer.place, offer.filter, limits, snapshot.get(),
                                           [&](std::span<const model::LoggedEvent* const> events, model::Epoch epoch) {
                                               const std::int64_t before = rows.count();
                                               deliver(events, epoch, request, offer, rows);
                                               has_held_back |=
                                                   rows.count() - before < static_cast<std::int64_t>(events.size());
                                           });
    snapshot.pop();
    if (rows.count() > 0) {
        grant_lease(request, offer, end, rows.count());
        return 0;
    }
    if (has_held_back) let_wait(request, offer);
    if (end != offer.place) skip_to(request, offer, end);
    return scanned;
}

// A share of which no event can be delivered has gone on, so the next one is tried.
void deliver_batch(FunctionCallInfo fcinfo, const LeaseRequest& request) {
    std::int64_t scanned = 0, scanned_now = 0;
    do {
        const auto offer = take_share(request);
        if (!offer) return;
        DeliveredRows rows(fcinfo, offer->lease);
        scanned_now = deliver_from(*offer, request, rows);
        scanned += scanned_now;
    } while (scanned_now > 0 && scanned < kMostScanned);
}

LeaseRequest request_of(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "an argument is NULL",
                              "subscription, max_events and lease_time must not be NULL.",
                              "Leave max_events and lease_time out to get their defaults.");
    const std::string_view consumer = PG_ARGISNULL(3) ? std::string_view() : postgres::text_argument(fcinfo, 3);
    if (consumer.size() > kLongestConsumer)
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the name of the consumer is too long",
                              "It has " + std::to_string(consumer.size()) + " bytes.",
                              "Give a name of at most " + std::to_string(kLongestConsumer) + " bytes.");
    const std::int32_t most_events = PG_GETARG_INT32(1);
    if (most_events < 1 || most_events > kMostEvents)
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "max_events is out of range",
                              "It is " + std::to_string(most_events) + ".",
                              "Give a number from 1 to " + std::to_string(kMostEvents) + ".");
    return {.subscription = std::string(postgres::text_argument(fcinfo, 0)),
            .consumer = PG_ARGISNULL(3) ? "process " + std::to_string(MyProcPid) : std::string(consumer),
            .most_events = most_events,
            .lease_time = PG_GETARG_DATUM(2),
            .caller = postgres::guarded(postgres::name_of_current_user)};
}

// Texts that a filter wants; NULL: all.
std::vector<std::string> list_argument(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number)) return {};
    using Texts = postgres::GrowingArray<std::string_view>;
    const Texts texts = postgres::guarded([fcinfo, number] { return postgres::texts_of(PG_GETARG_DATUM(number)); });
    return {texts.begin(), texts.end()};
}

// A place is three arguments.
Place place_argument(FunctionCallInfo fcinfo, int first) {
    Place place{model::BatchId{PG_GETARG_INT64(first)}, std::nullopt};
    if (PG_ARGISNULL(first + 1)) return place;
    place.partial = model::Partial{model::Xid{U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(first + 1))},
                                   model::EventId{PG_GETARG_INT64(first + 2)}};
    return place;
}

enum LeasedArgument { kFirstLaneArgument, kLastLaneArgument, kStart, kEnd = kStart + 3, kDevices = kEnd + 3, kRegions, kTypes };

// P.
void put_leased(FunctionCallInfo fcinfo, const Place& start, std::span<const model::LoggedEvent* const> events,
                model::Epoch epoch, const Payloads& payloads) {
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    for (std::size_t i = 0; i < events.size(); ++i) {
        const model::LoggedEvent& event = *events[i];
        Datum values[] = {Int16GetDatum(lane_of(event.device_id)),
                          postgres::text_datum(event.device_id),
                          Int64GetDatum(start.batch.value),
                          FullTransactionIdGetDatum(FullTransactionIdFromU64(event.xid.value)),
                          Int64GetDatum(event.event_id.value),
                          Int32GetDatum(epoch.value),
                          postgres::text_datum(event.type),
                          Int16GetDatum(static_cast<std::int16_t>(event.version)),
                          payloads.datum(i),
                          TimestampTzGetDatum(event.received_at)};
        bool nulls[lengthof(values)] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

}  // namespace
}  // namespace subscription

TELEMETRY_FUNCTION(telemetry_next_batch) {
    postgres::guarded([fcinfo] {
        postgres::require_writable("next_batch()");
        InitMaterializedSRF(fcinfo, 0);
    });
    postgres::keep_freed_memory();
    const subscription::LeaseRequest request = subscription::request_of(fcinfo);
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    subscription::deliver_batch(fcinfo, request);
    PG_RETURN_NULL();
}

TELEMETRY_FUNCTION(telemetry_read_leased_events) {
    using namespace subscription;
    postgres::guarded([fcinfo] { InitMaterializedSRF(fcinfo, 0); });
    const Filter filter{PG_GETARG_INT16(kFirstLaneArgument), PG_GETARG_INT16(kLastLaneArgument),
                        list_argument(fcinfo, kDevices), list_argument(fcinfo, kRegions), list_argument(fcinfo, kTypes)};
    const Place start = place_argument(fcinfo, kStart);
    const ReadLimits limits{.most_events = kUnlimited, .most_scanned = kUnlimited, .end = place_argument(fcinfo, kEnd)};
    const postgres::LatestSnapshot snapshot;
    Payloads payloads;
    (void)read_share(start, filter, limits, snapshot.get(),
                     [&](std::span<const model::LoggedEvent* const> events, model::Epoch epoch) {
                         payloads.render(events);
                         postgres::guarded([&] { put_leased(fcinfo, start, events, epoch, payloads); });
                     });
    snapshot.pop();
    PG_RETURN_NULL();
}
