// Where the consumers stand, as a reader's snapshot shows it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "feed/progress.hpp"
#include "feed/tail.hpp"
#include "postgres/types.hpp"

namespace feed {

class Standings {
public:
    explicit Standings(Progress progress) noexcept : progress_(std::move(progress)) {}

    const Progress& progress() const noexcept { return progress_; }

    // Of the generation that readers see. The snapshot shows these standings.
    TailStart tail_of(std::string_view projection, ::Snapshot snapshot);

private:
    Progress progress_;
    std::vector<std::pair<std::string, TailStart>> tails_;
};

// Those that the snapshot shows. The session keeps them for later snapshots that show the same, so a reader of one row need not
// read four tables beside it. The reference holds until the next call.
Standings& standings_shown_by(::Snapshot snapshot);

}  // namespace feed
