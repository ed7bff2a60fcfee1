// The extension as it is installed in this database: which relations it owns and who its owner is.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace runtime {

// Plain data, kept for the session and looked up anew when the server says that one of the relations changed.
struct Installed {
    Oid extension;
    Oid schema;
    Oid owner;
    Oid gate;  // what commands lock first (runtime/gate.hpp)
    Oid installation;
    Oid epoch;
    Oid event;
    Oid segment;  // where events are appended
    Oid event_id_sequence;
    Oid device;
};

// Throws Error(TC301) where schema "telemetry" or one of its relations is missing.
const Installed& installed();

// The same, for commands: holds the extension's gate until the transaction ends, so that DROP EXTENSION waits for the
// transaction before it locks any other relation. They could deadlock otherwise, as each locks the tables in an order of its
// own, or a relation could vanish from under us. Throws Error(TC301) also where another installation has taken its place
// meanwhile.
const Installed& hold_installed();

// For the end of CREATE EXTENSION and ALTER EXTENSION UPDATE: at the commit every session forgets the answer of `installed`. A
// further relation may have become the gate.
void announce_relations();

// Counts how often the answer of `installed` was thrown away: who caches what he read from those relations compares it.
unsigned installed_generation() noexcept;

// Where this server process works. Comparable transaction numbers need an equal system and database; the log's own oid tells
// a log that was restored into its old database from the one that was written there.
struct LogPlace {
    std::uint64_t system_identifier;
    Oid database;
    Oid log;
    TimeLineID timeline;
};
LogPlace current_place();

}  // namespace runtime
