// Which database answers HTTP at a port. The server's kernel spreads the connections of a port over all processes that listen
// there, so they must be of one database.
#pragma once

#include <span>

#include "postgres/types.hpp"

namespace runtime {

// Claims these ports for the database of this process, as long as the process lives or until it claims others. Returns the
// database that has one of them already, and then none is claimed; InvalidOid: all are claimed.
Oid claim_ports(std::span<const int> ports) noexcept;

}  // namespace runtime
