// Numbers of transactions, and what became of a transaction that wrote to the log.
#pragma once

#include <cstdint>
#include <optional>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace event_log {

enum class Fate : std::uint8_t {
    kInProgress,  // open or prepared
    kCommitted,
    kRolledBack,  // or it was open when the server crashed
    kForgotten,   // it is so old that the server has removed its record
    kNotBegun     // this server has not reached this number; a standby may do so later
};

// Says what this server knows of a top-level transaction. If it has committed, a snapshot that is taken afterwards shows its
// rows.
Fate fate_of(model::Xid xid);

// Up to where the server's log must be on disk, so that no crash takes back this top-level transaction, which has committed on
// this server. 0: it is on disk. Nothing: the server does not know any more. Only a transaction that has not waited for the
// disk (synchronous_commit = off) has such a place, or one whose neighbours have not waited.
std::optional<std::uint64_t> end_of_commit(model::Xid xid);

// P. The lowest transaction of this server, in any database, that is open or prepared. Each transaction that writes later is
// this one or has a higher number. Not during recovery.
std::uint64_t oldest_running_transaction();

// The server's snapshots hold only the low half of a transaction's number. It is at most one wrap below `next`, the next number
// that the server gives out.
model::Xid widen(std::uint32_t xid, std::uint64_t next) noexcept;

// Does `snapshot` show events of this transaction?
bool has_events_of(model::Epoch epoch, model::Xid xid, ::Snapshot snapshot);

}  // namespace event_log
