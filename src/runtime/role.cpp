// Says by the settings which workers are wanted.
#include "runtime/role.hpp"

#include "runtime/settings.hpp"

namespace runtime {

bool is_wanted(Role role) noexcept {
    switch (role) {
        case Role::kRelay:
            return settings().start_worker && (is_set(settings().nats_url) || is_set(settings().redis_url));
        case Role::kProjector:
            break;
    }
    return settings().start_worker;
}

}  // namespace runtime
