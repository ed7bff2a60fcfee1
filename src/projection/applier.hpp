// Makes the passes of the projector. This folder's README has the contract.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "projection/batcher.hpp"
#include "projection/pass.hpp"
#include "projection/pass_context.hpp"
#include "projection/portions.hpp"
#include "projection/schedule.hpp"
#include "read_model/registry.hpp"
#include "runtime/backlog.hpp"

namespace projection {

// Makes passes, and remembers between them what it would otherwise find out again. Correctness depends on none of this memory,
// so several processes may each have an applier.
class Applier {
public:
    // Makes one pass, in an open transaction that has no number yet. If it throws, the caller rolls back.
    Pass run(const PassOptions& options);

    // The caller calls this after it has rolled the writes of a `run` back. True: the next run is careful, and is worth a try.
    // A careful run writes for each consumer in a subtransaction, so it can tell which one fails, and the others go on. False:
    // the run was careful already, or failed before it knew what to do.
    bool be_careful() noexcept;

    // Did the last run come so far that it knew what to do?
    bool has_begun() const noexcept { return has_begun_; }

    // Leaves a consumer out, or serves it again.
    void suspend(std::string_view consumer, bool is_suspended);

    // The names of all projections, as the last run found them.
    std::vector<std::string> projections() const;

private:
    Pass run_as_owner(const PassOptions& options);
    Pass make_pass(const feed::Progress& progress, PassContext& context, const PassOptions& options);
    std::optional<Pass> read_on(const feed::Progress& progress, const PassContext& context, const PassOptions& options);
    std::optional<Pass> catch_up(const feed::Progress& progress, const PassContext& context, const PassOptions& options);
    std::optional<Pass> replay(const feed::Progress& progress, const PassContext& context);
    void finish(Pass& pass, ::Snapshot snapshot);
    void mend_triggers_of_new_epoch(bool is_first_pass);
    void forget_other_installation(Oid log);

    Oid log_{};
    runtime::ReadReport report_;  // of the pass in progress
    Batcher batcher_;
    Schedule schedule_;
    Portions portions_;
    std::vector<read_model::Definition> registry_;  // as the snapshot of the pass shows it
    // Of what passes gather; kept from pass to pass while there is more to do. Larger blocks would not be kept.
    std::pmr::unsynchronized_pool_resource memory_{{.max_blocks_per_chunk = 16, .largest_required_pool_block = 1 << 17}};
    bool has_begun_ = false;
    bool is_careful_ = false;
    bool was_catching_up_ = false;  // the last pass was one for projections that are behind
    bool may_have_failed_ = true;   // telemetry.projection_failure may say that the last pass of a consumer failed
    int attempts_to_mend_ = 0;      // of triggers; how many are left in this epoch
};

}  // namespace projection
