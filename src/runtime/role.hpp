// The roles of the workers that serve a database, and their seats. A database has one worker of each seat at most.
#pragma once

#include "postgres/background_worker.hpp"
#include "runtime/settings.hpp"

namespace runtime {

enum class Role : int {
    kProjector,  // applies the readings, keeps the statistics, and tells listeners
    kRelay,      // sends events and statistics to servers outside the database
    kHttp        // answers HTTP; several workers share one port
};
inline constexpr int kRoleCount = 3;
inline constexpr Role kRoles[kRoleCount] = {Role::kProjector, Role::kRelay, Role::kHttp};
inline constexpr int kSeatCount = kRoleCount - 1 + kMostHttpWorkers;

// The place of one worker: its role, and its number among the workers of that role.
struct Seat {
    Role role = Role::kProjector;
    int number = 0;

    constexpr Seat(Role its_role, int its_number = 0) noexcept : role(its_role), number(its_number) {}
    bool operator==(const Seat&) const = default;
};

// The number of a seat among all, and the seat of such a number.
constexpr int ordinal_of(Seat seat) noexcept {
    return static_cast<int>(seat.role) + seat.number;
}
constexpr Seat seat_at(int ordinal) noexcept {
    constexpr int kFirstHttp = static_cast<int>(Role::kHttp);
    return ordinal < kFirstHttp ? Seat(static_cast<Role>(ordinal)) : Seat(Role::kHttp, ordinal - kFirstHttp);
}

constexpr int workers_of(Role role) noexcept {
    return role == Role::kHttp ? kMostHttpWorkers : 1;
}

// The program of a role's workers. Its argument names the database and the seat. If the database has no extension, it ends and
// leaves "absent" in the shared slot.
constexpr postgres::WorkerProgram program_of(Role role) noexcept {
    switch (role) {
        case Role::kRelay:
            return {"telemetry_relay_main", "telemetry_cqrs relay"};
        case Role::kHttp:
            return {"telemetry_http_main", "telemetry_cqrs http"};
        case Role::kProjector:
            break;
    }
    return {"telemetry_projector_main", "telemetry_cqrs projector"};
}

// Do the settings want workers of this role in some database?
bool is_wanted(Role role) noexcept;

// Do they want a worker of this seat in the database of this name?
bool is_wanted_in(const char* database, Seat seat);

}  // namespace runtime
