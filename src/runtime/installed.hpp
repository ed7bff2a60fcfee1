// The extension as it is installed in this database: its relations and its owner.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace runtime {

// Plain data. The session keeps it, and looks it up anew when the server says that one of the relations has changed.
struct Installed {
    Oid extension;
    Oid schema;
    Oid owner;
    Oid anchor;  // the relation that commands lock first (runtime/anchor.hpp)
    Oid installation;
    Oid epoch;
    Oid event;
    Oid segment;  // the table that gets new events
    Oid event_id_sequence;
    Oid device;
    // InvalidOid: the extension is of version 1.0, which does not have these tables.
    Oid batch_verdict;
    Oid metric;
    Oid device_policy;
};

// Throws Error(TC301) if schema "telemetry" or one of its relations is missing.
const Installed& installed();

// The same for commands. It also holds the extension's anchor until the transaction ends, so DROP EXTENSION waits for the
// transaction before it locks any other relation. Without the anchor the two could deadlock, because each locks the tables in
// an order of its own, or a table could vanish while the command works. Throws Error(TC301) also if another installation has
// replaced this one meanwhile.
const Installed& hold_installed();

// For the end of CREATE EXTENSION and ALTER EXTENSION UPDATE. At the commit every session forgets what `installed` returned,
// because another relation may have become the anchor.
void announce_relations();

// Counts how often the session has forgotten what `installed` returned. A cache of what those relations hold is stale once this
// number has changed.
unsigned installed_generation() noexcept;

// The place at which a log is written. Transaction numbers can be compared only within one system and database. The log's own
// oid tells a log that was restored into its old database from the one that was written there.
struct LogPlace {
    std::uint64_t system_identifier;
    Oid database;
    Oid log;
    TimeLineID timeline;

    bool operator==(const LogPlace&) const = default;
};
// Is it the same log, perhaps on another timeline? Then its sequences go on, and its transaction numbers can be compared.
bool is_same_log(const LogPlace& a, const LogPlace& b) noexcept;
// The place of this session.
LogPlace current_place();

}  // namespace runtime
