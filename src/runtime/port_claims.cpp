// Keeps the claims in shared memory, and counts the workers of each.
#include "runtime/port_claims.hpp"

#include <algorithm>

#include "postgres/shared_memory.hpp"
#include "runtime/shared_state.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

int own_ports[kMostPortClaims];
int own_port_count = 0;
bool has_callback = false;

PortClaim* find_claim(int port) noexcept {
    for (PortClaim& each : shared_state()->port_claims)
        if (each.port == port) return &each;
    return nullptr;
}

// The caller holds the lock.
void release() noexcept {
    for (int i = 0; i < own_port_count; ++i) {
        PortClaim* claim = find_claim(own_ports[i]);
        if (claim != nullptr && --claim->workers == 0) *claim = PortClaim{};
    }
    own_port_count = 0;
}

void release_at_exit(int, Datum) noexcept {
    postgres::LockHeld held(shared_state()->lock, LW_EXCLUSIVE);
    release();
}

}  // namespace

Oid claim_ports(std::span<const int> ports) noexcept {
    if (shared_state() == nullptr) return InvalidOid;
    if (!has_callback) before_shmem_exit(release_at_exit, 0);
    has_callback = true;
    postgres::LockHeld held(shared_state()->lock, LW_EXCLUSIVE);
    release();
    for (const int port : ports)
        if (const PortClaim* claim = find_claim(port); claim != nullptr && claim->database != MyDatabaseId)
            return claim->database;
    for (const int port : ports.first(std::min<std::size_t>(ports.size(), kMostPortClaims))) {
        PortClaim* claim = find_claim(port);
        if (claim == nullptr) claim = find_claim(0);
        if (claim == nullptr) break;
        *claim = {port, MyDatabaseId, claim->workers + 1};
        own_ports[own_port_count++] = port;
    }
    return InvalidOid;
}

}  // namespace runtime
