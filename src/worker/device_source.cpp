// Reads the rows of devices by their key, in its order.
#include "worker/device_source.hpp"

#include <utility>
#include <vector>

#include "feed/cursor.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "read_model/device_reports.hpp"
#include "relay/redis_sink.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr std::int64_t kRefreshedAtOnce = 1000;  // devices
constexpr std::string_view kKeyPrefix = "device:stats:";

postgres::Statement select_request{postgres::SqlCommand::kSelect,
                                   "SELECT refresh_requested_at, generation FROM telemetry.relay WHERE sink = 'redis'",
                                   0,
                                   {},
                                   nullptr};
// These pass over a row that somebody has locked, because the relay must not wait for the end of another transaction.
postgres::Statement make_request{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.relay SET refresh_requested_at = pg_catalog.clock_timestamp(), generation = $1 WHERE sink IN "
    "(SELECT r.sink FROM telemetry.relay r WHERE r.sink = 'redis' FOR UPDATE SKIP LOCKED)",
    1,
    {INT4OID},
    nullptr};
postgres::Statement end_request{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.relay SET refresh_requested_at = NULL WHERE sink IN "
    "(SELECT r.sink FROM telemetry.relay r WHERE r.sink = 'redis' AND r.refresh_requested_at = $1 FOR UPDATE SKIP LOCKED)",
    1,
    {TIMESTAMPTZOID},
    nullptr};
postgres::Statement select_newest{
    postgres::SqlCommand::kSelect, "SELECT pg_catalog.max(batch_id) FROM telemetry.batch", 0, {}, nullptr};
postgres::Statement select_devices{
    postgres::SqlCommand::kSelect,
    "SELECT s.key FROM telemetry.state_device s WHERE s.generation = $1 AND s.key > $2 AND s.part = 0 "
    "ORDER BY s.generation, s.key LIMIT $3",
    3,
    {INT4OID, TEXTOID, INT8OID},
    nullptr};

// P. 0 for NULL and for no row.
std::int64_t integer_of(const postgres::StatementResult& rows, int column, bool is_wide) {
    bool is_null = true;
    const Datum value = rows.row_count == 0 ? 0 : postgres::value_of(rows, 0, column, &is_null);
    if (is_null) return 0;
    return is_wide ? DatumGetInt64(value) : DatumGetInt32(value);
}

std::int64_t newest_batch() {
    return postgres::guarded([] {
        const postgres::StatementScope statements = postgres::open_statements();
        const std::int64_t newest = integer_of(postgres::execute_kept(select_newest, nullptr), 1, true);
        postgres::close_statements(statements);
        return newest;
    });
}

struct Request {
    std::int64_t at;          // 0: there is none
    std::int32_t generation;  // of the values that were asked for at last
};

Request find_request() {
    return postgres::guarded([] {
        const postgres::StatementScope statements = postgres::open_statements();
        const postgres::StatementResult rows = postgres::execute_kept(select_request, nullptr);
        const Request request{integer_of(rows, 1, true), static_cast<std::int32_t>(integer_of(rows, 2, false))};
        postgres::close_statements(statements);
        return request;
    });
}

// Returns whether it has changed a row.
bool change(postgres::Statement& statement, Datum value) {
    return postgres::guarded([&statement, value]() mutable {
        const postgres::StatementScope statements = postgres::open_statements();
        const bool has_changed = postgres::execute_kept(statement, &value).row_count > 0;
        postgres::close_statements(statements);
        postgres::show_own_writes();
        return has_changed;
    });
}

std::vector<std::string> devices_after(const std::string& device, std::int32_t generation) {
    const postgres::ScopedMemory memory("telemetry_cqrs devices");
    using Texts = postgres::GrowingArray<std::string_view>;
    const Texts found = postgres::guarded([&] {
        Datum values[] = {Int32GetDatum(generation), postgres::text_datum(device), Int64GetDatum(kRefreshedAtOnce)};
        const postgres::StatementScope statements = postgres::open_statements();
        const postgres::StatementResult rows = postgres::execute_kept(select_devices, values);
        const MemoryContext of_statements = MemoryContextSwitchTo(memory.get());
        Texts texts{};
        for (std::uint64_t row = 0; row < rows.row_count; ++row) {
            bool is_null = false;
            postgres::append(texts, postgres::view_of(postgres::copied_text(postgres::value_of(rows, row, 1, &is_null))));
        }
        MemoryContextSwitchTo(of_statements);
        postgres::close_statements(statements);
        return texts;
    });
    return {found.begin(), found.end()};
}

}  // namespace

void DeviceSource::begin(relay::Chunk& chunk) {
    chunk_ = &chunk;
    devices_.clear();
    events_ = 0;
}

// A request may have come while the last one was under way, so it looks for one in any case. If the row is locked, it writes
// at a later look.
void DeviceSource::look_for_request() {
    Request request = find_request();
    // A rebuild has put other statistics in place of those that were sent.
    const bool is_rebuilt = generation_ != 0 && request.generation != generation_;
    if ((is_request_missing_ || is_rebuilt) && change(make_request, Int32GetDatum(generation_))) {
        is_request_missing_ = false;
        request = find_request();
    }
    is_refresh_done_ &= request.at == requested_at_;
    if (is_refresh_done_ && change(end_request, TimestampTzGetDatum(requested_at_))) is_refresh_done_ = false;
    if (request.at == 0 || request.at == requested_at_) return;
    requested_at_ = request.at;
    begin_refresh();
}

model::BatchId DeviceSource::at_most() {
    generation_ = 0;
    std::optional<model::BatchId> limit;
    for (const auto& [projection, cursor] : feed::read_cursors(postgres::guarded([] { return GetActiveSnapshot(); }))) {
        if (projection != "device" || !cursor.is_current()) continue;
        generation_ = cursor.generation;
        if (cursor.is_behind()) limit = cursor.batch;
    }
    look_for_request();
    version_ = limit ? limit->value : newest_batch();
    if (limit) return *limit;
    return generation_ == 0 ? model::BatchId{0} : feed::kNoBatchLimit;
}

void DeviceSource::take(std::span<const model::LoggedEvent* const> events) {
    events_ += events.size();
    for (const model::LoggedEvent* event : events) devices_.emplace(event->device_id);
}

bool DeviceSource::complete(const subscription::Place& end, ::Snapshot snapshot) {
    if (generation_ == 0 || (devices_.empty() && !refresh_after_)) return false;
    const auto convert = postgres::utf8_conversion();
    read_model::DeviceReports reports(generation_, snapshot);
    const auto append = [&](const std::string& device, std::int64_t known) {
        std::string report;
        if (!reports.append(report, device, version_)) return;
        chunk_->text().append(kKeyPrefix).append(convert == nullptr ? device : convert(device));
        chunk_->end_subject();
        chunk_->text() += std::to_string(known);
        chunk_->end_id();
        chunk_->text() += report;
        chunk_->end_payload();
    };
    for (const std::string& device : devices_) append(device, version_);
    if (refresh_after_) {
        const std::vector<std::string> devices = devices_after(*refresh_after_, generation_);
        for (const std::string& device : devices) append(device, relay::kHighestVersion);
        if (static_cast<std::int64_t>(devices.size()) < kRefreshedAtOnce) {
            refresh_after_.reset();
            is_refresh_sent_ = true;
            refresh_ticket_ = chunk_->ticket();
        } else {
            refresh_after_ = devices.back();
        }
    }
    reports.close();
    // While a refresh is under way, values are missing, and so is the mark. In a backlog the values of later batches are
    // missing, although the values that were sent are of the newest one.
    if (refresh_after_ || end.batch.value == 0) return chunk_->size() > 0;
    chunk_->text() += mark_;
    chunk_->end_subject();
    chunk_->end_id();
    chunk_->text() += std::to_string(end.batch.value);
    chunk_->end_payload();
    return true;
}

void DeviceSource::begin_anew() {
    begin_refresh();
    is_request_missing_ = true;
}

void DeviceSource::begin_refresh() {
    refresh_after_ = std::string();
    is_refresh_sent_ = false;
}

// A request is found again in the table.
void DeviceSource::has_failed() {
    if (refresh_after_ || is_refresh_sent_) begin_anew();
    is_refresh_done_ = false;
    requested_at_ = 0;
}

void DeviceSource::has_arrived(std::uint64_t ticket) {
    if (!is_refresh_sent_ || ticket < refresh_ticket_) return;
    is_refresh_sent_ = false;
    is_refresh_done_ = requested_at_ != 0;
}

}  // namespace worker
