// Turns rows into events.
#include "event_log/window_reader.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "event_log/metrics.hpp"
#include "postgres/error.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr std::int64_t kNoEvent = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kAllEvents = std::numeric_limits<std::int64_t>::max();

// Holds the texts of a block one after the other, so that a text needs no allocation of its own.
struct TextArena {
    MemoryContext memory;
    char* next;
    std::size_t left;
};

std::string_view keep_text(TextArena& arena, Datum value) {
    constexpr std::size_t kChunk = 64 * 1024;
    const std::string_view source = postgres::view_of(value);
    if (source.size() > arena.left) {
        arena.left = source.size() > kChunk ? source.size() : kChunk;
        arena.next = static_cast<char*>(MemoryContextAlloc(arena.memory, arena.left));
    }
    char* copy = arena.next;
    memcpy(copy, source.data(), source.size());
    arena.next += source.size();
    arena.left -= source.size();
    return {copy, source.size()};
}

bool is_of_reading(Datum type) {
    return postgres::view_of(type) == model::kTelemetryIngested;
}

// P. What the type of an event adds, as text of JSON in the current memory context. The view leaves out nulls as well.
std::string_view details_of(const WindowScan& scan) {
    if (is_null(scan, kMetrics)) return {};
    Jsonb* details = postgres::without_nulls(value_of(scan, kMetrics));
    return JsonbToCString(nullptr, &details->root, static_cast<int>(postgres::size_of(details)));
}

struct Filled {
    std::int64_t kept, events, rows;
    std::uint64_t last_xid;
    std::int64_t last_event_id;
};

// P. The texts lie in the arena.
void fill_event(model::Event& event, const WindowScan& scan, bool is_reading, TextArena& arena) {
    event.event_id = model::EventId{scan.current->event_id};
    event.xid = model::Xid{scan.current->xid};
    event.device_id = keep_text(arena, value_of(scan, kDeviceId));
    event.region = is_null(scan, kRegion) ? std::string_view() : keep_text(arena, value_of(scan, kRegion));
    event.measured_at = DatumGetTimestampTz(value_of(scan, kMeasuredAt));
    event.received_at = DatumGetTimestampTz(value_of(scan, kReceivedAt));
    event.temperature = number_of(scan, kTemperature);
    event.humidity = number_of(scan, kHumidity);
    event.metrics = {};
    event.type = is_reading ? model::kTelemetryIngested : keep_text(arena, value_of(scan, kType));
    event.details = is_reading ? std::string_view() : details_of(scan);
    if (!is_reading || is_null(scan, kMetrics)) return;
    const Metrics metrics = read_metrics(reinterpret_cast<Jsonb*>(PG_DETOAST_DATUM_COPY(value_of(scan, kMetrics))));
    event.metrics = {metrics.items, static_cast<std::size_t>(metrics.count)};
}

// P.
void fill_logged_event(model::LoggedEvent& event, const WindowScan& scan, bool is_reading, TextArena& arena) {
    std::construct_at(&event);  // its memory holds anything
    fill_event(event, scan, is_reading, arena);
    event.version = DatumGetInt16(value_of(scan, kVersion));
    if (!is_null(scan, kIdempotencyKey)) event.idempotency_key = keep_text(arena, value_of(scan, kIdempotencyKey));
}

// P. Gives each row of the window to `keep`, which returns whether it has kept the event.
template <typename Keep>
Filled fill_block(WindowScan& scan, std::int64_t rows, MemoryContext memory, Keep keep) {
    Filled filled{};
    TextArena arena{memory, nullptr, 0};
    MemoryContextReset(memory);
    const MemoryContext caller = MemoryContextSwitchTo(memory);
    CHECK_FOR_INTERRUPTS();
    for (; scan.current != nullptr && filled.rows < rows; advance(scan)) {
        if (is_of_skipped_transaction(scan)) {
            CHECK_FOR_INTERRUPTS();
            continue;
        }
        ++filled.rows;
        filled.last_xid = scan.current->xid;
        filled.last_event_id = scan.current->event_id;
        if (is_of_other_epoch(scan)) continue;
        ++filled.events;
        if (keep(filled.kept, arena)) ++filled.kept;
    }
    MemoryContextSwitchTo(caller);
    return filled;
}

}  // namespace

OwnedScanPlan::OwnedScanPlan(const model::Window& window, model::Epoch epoch) {
    const bool is_one_transaction = window.resume && window.until && window.resume->xid == window.until->xid;
    if (window.resume) {
        const std::uint64_t xid = window.resume->xid.value;
        steps_.push_back({xid, xid + 1, window.resume->event_id.value,
                          is_one_transaction ? window.until->event_id.value : kAllEvents, false});
    }
    if (!is_one_transaction) {
        for (const model::Xid xid : window.stragglers)
            steps_.push_back({xid.value, xid.value + 1, kNoEvent, kAllEvents, false});
        if (window.first < window.last) steps_.push_back({window.first.value, window.last.value, kNoEvent, kAllEvents, true});
        for (const model::Xid xid : window.in_progress) skipped_.push_back(xid.value);
        if (window.until)
            steps_.push_back(
                {window.until->xid.value, window.until->xid.value + 1, kNoEvent, window.until->event_id.value, false});
    }
    plan_ = {steps_.data(), static_cast<int>(steps_.size()), skipped_.data(), static_cast<int>(skipped_.size()), epoch.value};
}

WindowReader::WindowReader(const model::Window& window, model::Epoch epoch, ::Snapshot snapshot, Wanted wanted)
    : wanted_(wanted), plan_(window, epoch), scan_memory_("telemetry_cqrs window"), block_memory_("telemetry_cqrs block") {
    postgres::guarded([this, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(scan_memory_.get());
        open_window(scan_, plan_.view(), snapshot);
        if (wanted_ != Wanted::kLoggedEvents)
            events_ = static_cast<model::Event*>(palloc(sizeof(model::Event) * kBlockRows));
        else
            logged_ = static_cast<model::LoggedEvent*>(palloc(sizeof(model::LoggedEvent) * kLoggedBlockRows));
        MemoryContextSwitchTo(caller);
    });
}

Block WindowReader::read(std::int64_t rows) {
    const std::int64_t most = std::min<std::int64_t>(rows, logged_ != nullptr ? kLoggedBlockRows : kBlockRows);
    const Filled filled = postgres::guarded([this, most] {
        return fill_block(scan_, most, block_memory_.get(), [this](std::int64_t i, TextArena& arena) {
            const bool is_reading = is_of_reading(value_of(scan_, kType));
            if (!is_reading && wanted_ == Wanted::kReadings) return false;
            if (logged_ != nullptr)
                fill_logged_event(logged_[i], scan_, is_reading, arena);
            else
                fill_event(events_[i], scan_, is_reading, arena);
            return true;
        });
    });
    if (filled.rows > 0) last_row_ = model::Partial{model::Xid{filled.last_xid}, model::EventId{filled.last_event_id}};
    const auto kept = static_cast<std::size_t>(filled.kept);
    return {{events_, events_ == nullptr ? 0 : kept}, {logged_, logged_ == nullptr ? 0 : kept}, filled.events, filled.rows};
}

bool WindowReader::is_at_transaction_end() const noexcept {
    return at_end() || !last_row_ || scan_.current->xid != last_row_->xid.value;
}

void WindowReader::close() {
    postgres::guarded([this] { close_window(scan_); });
}

}  // namespace event_log
