// SQL functions folded_tail and folded_log: fold events for a reader, as a pass folds them for a state table.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "event_log/window_reader.hpp"
#include "feed/standings.hpp"
#include "feed/tail.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sought_text.hpp"
#include "postgres/sql_function.hpp"
#include "projection/parked_events.hpp"
#include "read_model/delta_rows.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

// Puts what was gathered into the result, and forgets it.
void put(ReturnSetInfo* result, Gathered& gathered, const Target& target, bool has_sketches) {
    Orders orders(gathered);
    target.fold(orders, [&](std::span<const read_model::GroupDelta* const> deltas) {
        postgres::guarded([result, rows = deltas.data(), count = deltas.size(), has_sketches] {
            read_model::put_deltas(result, rows, count, has_sketches);
        });
    });
    gathered.clear();
}

// Where the generation stands that the caller names; NULL: at the beginning of the log.
feed::Cursor cursor_to_fold_from(FunctionCallInfo fcinfo, const feed::Progress& progress, std::string_view projection) {
    if (!fcinfo->args[1].isnull)
        for (const feed::StoredCursor& each : progress.cursors)
            if (each.projection == projection && each.cursor.generation == DatumGetInt32(fcinfo->args[1].value))
                return each.cursor;
    return {.place = feed::Cursor::Place::kBatch};
}

// The readings that the caller asks for.
struct Sought {
    std::optional<std::string_view> key;          // nothing: all keys
    const std::vector<model::EventId>& left_out;  // ascending

    bool is_all() const noexcept { return !key && left_out.empty(); }
    bool has(const model::Event& reading, read_model::Grain grain) const {
        if (key && grain != read_model::Grain::kAll &&
            *key != (grain == read_model::Grain::kDevice ? reading.device_id : reading.region))
            return false;
        return !std::binary_search(left_out.begin(), left_out.end(), reading.event_id);
    }
};

// The plan of the caller's query says whether it wants one key only. The text lives as long as the call.
std::optional<std::string_view> sought_key(FunctionCallInfo fcinfo) {
    constexpr int kKeyColumn = 1;
    return postgres::optional_view_of(postgres::guarded([fcinfo] { return postgres::sought_text(fcinfo, kKeyColumn); }));
}

// Folds what lies between the cursor and everything that the caller's snapshot shows. The result goes to disk where it does not
// fit into work_mem, so it may have several rows of one key and bucket.
void put_folded(FunctionCallInfo fcinfo, bool is_of_other_generation) {
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    const read_model::Definition& definition = read_model::require_projection(postgres::text_argument(fcinfo, 0), snapshot);
    auto* result = postgres::guarded([fcinfo] {
        InitMaterializedSRF(fcinfo, 0);
        return reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    });
    if (definition.is_handler()) return;  // it keeps no statistics
    const feed::Progress& progress = feed::standings_shown_by(snapshot).progress();
    feed::Cursor cursor = progress.cursor_of(definition.name);
    std::vector<model::EventId> parked;
    if (is_of_other_generation) {
        parked = find_parked_events({definition.name, cursor.generation}, snapshot);
        cursor = cursor_to_fold_from(fcinfo, progress, definition.name);
    }
    const Sought sought{sought_key(fcinfo), parked};
    std::vector<model::Event> readings;
    Gathered gathered;
    const Target target(definition, 0, gathered);
    for (const feed::TailWindow& tail : feed::tail_windows(progress, cursor, snapshot)) {
        event_log::WindowReader reader(tail.window, tail.epoch, snapshot);
        for (;;) {
            const event_log::Block block = reader.read(std::numeric_limits<std::int64_t>::max());
            if (block.rows == 0) break;
            if (sought.is_all()) {
                gathered.add(block.given);
            } else {
                readings.clear();
                std::copy_if(block.given.begin(), block.given.end(), std::back_inserter(readings),
                             [&](const model::Event& each) { return sought.has(each, definition.grain); });
                gathered.add(readings);
            }
            if (fill_memory(gathered)) put(result, gathered, target, definition.has_sketches);
        }
        reader.close();
    }
    put(result, gathered, target, definition.has_sketches);
}

}  // namespace
}  // namespace projection

TELEMETRY_FUNCTION(telemetry_fold_tail) {
    projection::put_folded(fcinfo, false);
    PG_RETURN_NULL();
}

TELEMETRY_FUNCTION(telemetry_fold_log) {
    projection::put_folded(fcinfo, true);
    PG_RETURN_NULL();
}
