// Makes the latest snapshot the active one.
#pragma once

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

// The caller pops it. After an error the abort does.
class LatestSnapshot {
public:
    LatestSnapshot()
        : snapshot_(guarded([] {
              PushActiveSnapshot(GetLatestSnapshot());
              return GetActiveSnapshot();
          })) {}
    LatestSnapshot(const LatestSnapshot&) = delete;
    LatestSnapshot& operator=(const LatestSnapshot&) = delete;

    ::Snapshot get() const noexcept { return snapshot_; }
    void pop() const {
        guarded([] { PopActiveSnapshot(); });
    }

private:
    ::Snapshot snapshot_;
};

}  // namespace postgres
