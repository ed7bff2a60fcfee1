// Makes messages of what is new in the log.
#pragma once

#include <cstdint>

#include "relay/outbox.hpp"
#include "worker/relay_cursor.hpp"

namespace worker {

class RelaySource : public RelayReader {
public:
    RelaySource() = default;
    RelaySource(const RelaySource&) = delete;
    RelaySource& operator=(const RelaySource&) = delete;
    virtual ~RelaySource() = default;

    // Puts the messages of the next read into this chunk.
    virtual void begin(relay::Chunk& chunk) = 0;

    // Everything is to be sent again, because the server has lost it.
    virtual void begin_anew() {}

    // The sink has every chunk up to the one of this ticket.
    virtual void has_arrived(std::uint64_t) {}

    // Some of what was read will not arrive. Its events are read again.
    virtual void has_failed() {}

    // May new events wait for a while, because one message serves all of a device that have gathered?
    virtual bool may_gather() const { return false; }

    // Is there something to read besides new events?
    virtual bool has_more() const { return false; }
};

}  // namespace worker
