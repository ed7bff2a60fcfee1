// Up to where the server's log must be on disk before the events of a read may leave the server.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/identifiers.hpp"

namespace subscription {

class CommitEnds {
public:
    // Returns the place for events of this epoch that these transactions have written; 0: they are on disk. A transaction that
    // does not wait for the disk is visible before it is there. The server knows such transactions of its own. Another server's
    // events came in transactions that the events do not name, as by logical replication, so the whole log is to be on disk.
    std::uint64_t last_of(model::Epoch epoch, const std::vector<model::Xid>& transactions);

private:
    std::optional<model::Epoch> own_epoch_;  // known to have been written at this place
};

}  // namespace subscription
