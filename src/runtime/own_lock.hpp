// Advisory locks of the extension, one set for each database. They are of class 3, which no SQL function can take.
#pragma once

#include "runtime/role.hpp"

#include "postgres/pg.hpp"

namespace runtime {

enum class OwnLock : uint32 {
    kProjector = 1,  // the projector holds it as long as it lives
    kApply = 2,      // a writer of the read side holds it to the end of its transaction
    kStarter = 3,    // a session holds it for the moment in which it starts a projector
    kMerging = 4,    // the merging of batches holds it to the end of its transaction, or consumers that lease old batches do
    kRelay = 5,      // the relay holds it as long as it lives
};

// The lock that a worker of this role holds as long as it lives.
constexpr OwnLock lock_of(Role role) noexcept {
    switch (role) {
        case Role::kRelay:
            return OwnLock::kRelay;
        case Role::kProjector:
            break;
    }
    return OwnLock::kProjector;
}

inline LOCKTAG tag_of(OwnLock lock) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, static_cast<uint32>(lock), 3);
    return tag;
}

}  // namespace runtime
