// Advisory locks of ours, one set a database. SQL's functions can only take locks of classes 1 and 2.
#pragma once

#include "postgres/pg.hpp"

namespace runtime {

enum class OwnLock : uint32 {
    kProjector = 1,  // of the one projector, as long as it lives
    kApply = 2,      // of who writes the read side, to the end of the transaction
    kStarter = 3,    // of who starts a projector, for a moment
};

inline LOCKTAG tag_of(OwnLock lock) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, static_cast<uint32>(lock), 3);
    return tag;
}

}  // namespace runtime
