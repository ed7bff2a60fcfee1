// The roles of the workers that serve a database. A database has at most one worker of each role.
#pragma once

#include "postgres/background_worker.hpp"

namespace runtime {

enum class Role : int {
    kProjector,  // applies the readings, keeps the statistics, and tells listeners
    kRelay       // sends events and statistics to servers outside the database
};
inline constexpr int kRoleCount = 2;
inline constexpr Role kRoles[kRoleCount] = {Role::kProjector, Role::kRelay};

// The program of a role's workers. Its argument is the database's oid. If the database has no extension, it ends and leaves
// "absent" in the shared slot.
constexpr postgres::WorkerProgram program_of(Role role) noexcept {
    switch (role) {
        case Role::kRelay:
            return {"telemetry_relay_main", "telemetry_cqrs relay"};
        case Role::kProjector:
            break;
    }
    return {"telemetry_projector_main", "telemetry_cqrs projector"};
}

// Do the settings want workers of this role?
bool is_wanted(Role role) noexcept;

}  // namespace runtime
