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

postgres::Statement select_request{
    postgres::SqlCommand::kSelect, "SELECT refresh_requested_at FROM telemetry.relay WHERE sink = 'redis'", 0, {}, nullptr};
postgres::Statement make_request{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.relay SET refresh_requested_at = pg_catalog.clock_timestamp() WHERE sink = 'redis'",
    0,
    {},
    nullptr};
postgres::Statement end_request{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.relay SET refresh_requested_at = NULL WHERE sink = 'redis' AND refresh_requested_at = $1",
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

// The one value that a statement returns; 0 for NULL and for no row.
std::int64_t integer_of(postgres::Statement& statement) {
    return postgres::guarded([&statement] {
        const postgres::StatementScope statements = postgres::open_statements();
        const postgres::StatementResult rows = postgres::execute_kept(statement, nullptr);
        bool is_null = true;
        const Datum value = rows.row_count == 0 ? 0 : postgres::value_of(rows, 0, 1, &is_null);
        const std::int64_t result = is_null ? 0 : DatumGetInt64(value);
        postgres::close_statements(statements);
        return result;
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

// A request may have come while the last one was under way, so it looks for one in any case.
void DeviceSource::look_for_request() {
    if (is_request_missing_) {
        is_request_missing_ = false;
        is_refresh_done_ = false;
        postgres::guarded([] {
            const postgres::StatementScope statements = postgres::open_statements();
            postgres::execute_kept(make_request, nullptr);
            postgres::close_statements(statements);
            postgres::show_own_writes();
        });
    }
    if (is_refresh_done_) {
        is_refresh_done_ = false;
        postgres::guarded([at = requested_at_] {
            Datum value = TimestampTzGetDatum(at);
            const postgres::StatementScope statements = postgres::open_statements();
            postgres::execute_kept(end_request, &value);
            postgres::close_statements(statements);
        });
    }
    const std::int64_t requested_at = integer_of(select_request);
    if (requested_at == 0 || requested_at == requested_at_) return;
    requested_at_ = requested_at;
    begin_refresh();
}

model::BatchId DeviceSource::at_most() {
    look_for_request();
    const std::int32_t generation_before = std::exchange(generation_, 0);
    for (const auto& [projection, cursor] : feed::read_cursors(postgres::guarded([] { return GetActiveSnapshot(); }))) {
        if (projection != "device" || !cursor.is_current()) continue;
        generation_ = cursor.generation;
        // A rebuild has put other statistics in place of those that were sent.
        if (generation_before != 0 && generation_before != generation_) begin_anew();
        if (!cursor.is_behind()) break;
        version_ = cursor.batch.value;
        return cursor.batch;
    }
    version_ = integer_of(select_newest);
    return generation_ == 0 ? model::BatchId{0} : feed::kNoBatchLimit;
}

void DeviceSource::take(std::span<const model::LoggedEvent* const> events) {
    events_ += events.size();
    for (const model::LoggedEvent* event : events) devices_.emplace(event->device_id);
}

void DeviceSource::complete(const subscription::Place& end, ::Snapshot snapshot) {
    if (generation_ == 0 || (devices_.empty() && !refresh_after_)) return;
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
        } else {
            refresh_after_ = devices.back();
        }
    }
    reports.close();
    // While a refresh is under way, values are missing, and so is the mark. In a backlog the values of later batches are
    // missing, although the values that were sent are of the newest one.
    if (refresh_after_ || end.batch.value == 0) return;
    chunk_->text() += mark_;
    chunk_->end_subject();
    chunk_->end_id();
    chunk_->text() += std::to_string(end.batch.value);
    chunk_->end_payload();
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

void DeviceSource::has_arrived() {
    if (is_refresh_sent_ && requested_at_ != 0) is_refresh_done_ = true;
    is_refresh_sent_ = false;
}

}  // namespace worker
