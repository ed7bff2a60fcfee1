// A session looks the extension's relations up by name, once at first and then after each change of one of them.
#include "runtime/installed.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "runtime/anchor.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

struct NamedRelation {
    const char* name;
    Oid Installed::*oid;
};
constexpr NamedRelation kRelations[] = {{"installation", &Installed::installation},
                                        {"epoch", &Installed::epoch},
                                        {"event", &Installed::event},
                                        {"event_1", &Installed::segment},
                                        {"event_id_seq", &Installed::event_id_sequence},
                                        {"device", &Installed::device}};

// Session state: plain data without constructor. `current` is meaningful while `is_current`.
Installed current;
bool is_current = false;
bool is_watching = false;
unsigned generation = 0;

// While `current` is out of date, any change may concern the extension, and a cache that was built on an earlier answer must
// not miss it. The server reports pg_depend only when it is rewritten, and then its order may change.
void forget_relation(Datum, Oid relation) noexcept {
    bool is_ours = !is_current || relation == InvalidOid || relation == DependRelationId || relation == current.anchor;
    for (const NamedRelation& each : kRelations) is_ours = is_ours || current.*each.oid == relation;
    if (!is_ours) return;
    is_current = false;
    ++generation;
}

void watch() {
    CacheRegisterRelcacheCallback(forget_relation, 0);
    is_watching = true;
}

// P. Returns false if anything is missing.
bool look_up(Installed& found) {
    if (!is_watching) watch();
    postgres::FoundExtension extension;
    if (!postgres::find_extension(extension)) return false;
    found.extension = extension.oid;
    found.schema = postgres::find_schema();
    found.anchor = find_anchor(found.extension);
    if (!OidIsValid(found.anchor)) return false;
    for (const NamedRelation& each : kRelations) {
        found.*each.oid = postgres::find_relation(found.schema, each.name);
        if (!OidIsValid(found.*each.oid)) return false;
    }
    found.batch_verdict = postgres::find_relation(found.schema, "batch_verdict");
    found.metric = postgres::find_relation(found.schema, "metric");
    found.device_policy = postgres::find_relation(found.schema, "device_policy");
    found.owner = postgres::owner_of_relation(found.event);
    return OidIsValid(found.owner);
}

}  // namespace

const Installed& installed() {
    // Reading the catalogue may itself deliver an invalidation. So the answer goes into a local variable first.
    if (!is_current) {
        Installed found;
        const bool is_complete = postgres::guarded([&found] { return look_up(found); });
        if (!is_complete) {
            throw postgres::Error(error_codes::kNotInstalled, "telemetry_cqrs is not completely installed in this database",
                                  "Schema \"telemetry\" or one of its relations is missing.",
                                  "Run CREATE EXTENSION telemetry_cqrs.");
        }
        current = found;
        is_current = true;
    }
    return current;
}

const Installed& hold_installed() {
    const Oid extension = installed().extension;
    for (;;) {
        const Oid anchor = installed().anchor;
        postgres::guarded([anchor] { lock_anchor(anchor); });
        // The function that is running, and its result type, belong to the extension that is gone.
        if (installed().extension != extension)
            throw postgres::Error(error_codes::kNotInstalled, "extension telemetry_cqrs was dropped and created anew meanwhile",
                                  "The command waited for that, and has stored nothing.", "Send the same request again.");
        if (installed().anchor == anchor) return current;
    }
}

void announce_relations() {
    postgres::guarded([event = installed().event] { CacheInvalidateRelcacheByRelid(event); });
}

unsigned installed_generation() noexcept {
    return generation;
}

bool is_same_log(const LogPlace& a, const LogPlace& b) noexcept {
    return a.system_identifier == b.system_identifier && a.database == b.database && a.log == b.log;
}

LogPlace current_place() {
    return postgres::guarded([log = installed().event] {
        LogPlace place;
        place.system_identifier = GetSystemIdentifier();
        place.database = MyDatabaseId;
        place.log = log;
        if (RecoveryInProgress())
            GetXLogReplayRecPtr(&place.timeline);
        else
            place.timeline = GetWALInsertionTimeLine();
        return place;
    });
}

}  // namespace runtime
