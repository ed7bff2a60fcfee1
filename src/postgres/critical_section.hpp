// Turns errors into a PANIC while a change is on a page and not in WAL. This file is written wholly in P.
// It stands for START_CRIT_SECTION and END_CRIT_SECTION, whose ++ on a volatile C++20 deprecates.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

inline void begin_critical_section() {
    CritSectionCount = CritSectionCount + 1;
}

inline void end_critical_section() {
    Assert(CritSectionCount > 0);
    CritSectionCount = CritSectionCount - 1;
}

}  // namespace postgres
