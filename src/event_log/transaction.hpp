// What became of a transaction that wrote to the log.
#pragma once

#include <cstdint>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace event_log {

enum class Fate : std::uint8_t {
    kInProgress,  // open or prepared
    kCommitted,
    kRolledBack,  // also: it was open when the server crashed
    kForgotten,   // so long ago that the server does not know any more
    kNotBegun     // this server has not come to this number; a standby may still
};

// What this server knows of a top-level transaction. A snapshot taken after this was called shows the rows of a committed one.
Fate fate_of(model::Xid xid);

// Does the log have events of this transaction?
bool has_events_of(model::Epoch epoch, model::Xid xid, ::Snapshot snapshot);

}  // namespace event_log
