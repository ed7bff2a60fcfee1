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
    kHttp = 6,       // the first HTTP worker holds it as long as it lives, the second one holds 7, and so on
};

// The lock that a worker of this seat holds as long as it lives.
constexpr OwnLock lock_of(Seat seat) noexcept {
    switch (seat.role) {
        case Role::kRelay:
            return OwnLock::kRelay;
        case Role::kHttp:
            return static_cast<OwnLock>(static_cast<uint32>(OwnLock::kHttp) + static_cast<uint32>(seat.number));
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
