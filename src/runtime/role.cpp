// Says by the settings which workers are wanted.
#include "runtime/role.hpp"

#include "runtime/listen_address.hpp"
#include "runtime/settings.hpp"

namespace runtime {

bool is_wanted(Role role) noexcept {
    switch (role) {
        case Role::kRelay:
            return settings().start_worker && (is_set(settings().nats_url) || is_set(settings().redis_url));
        case Role::kHttp:
            return settings().start_worker && is_set(settings().http_listen);
        case Role::kProjector:
            break;
    }
    return settings().start_worker;
}

bool is_wanted_in(const char* database, Seat seat) {
    if (!is_wanted(seat.role)) return false;
    if (seat.role != Role::kHttp) return true;
    return seat.number < settings().http_workers && !addresses_of(database, settings().http_listen).empty();
}

}  // namespace runtime
