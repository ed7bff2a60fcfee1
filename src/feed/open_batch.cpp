// Takes the open batch from the batcher's rows.
#include "feed/open_batch.hpp"

#include "feed/progress.hpp"
#include "postgres/types.hpp"

namespace feed {

std::optional<OpenBatch> open_batch_after(model::BatchId batch, ::Snapshot snapshot) {
    const Progress progress = read_progress(snapshot);
    if (progress.last_batch() != batch) return std::nullopt;
    std::optional<OpenBatch> found;
    for (const EpochProgress& epoch : progress.epochs) {
        const BatcherState& state = epoch.batcher;
        if (state.drained || state.open_events == 0) continue;
        if (found) return std::nullopt;  // the batches of two epochs take turns
        found = OpenBatch{epoch.epoch, state.batched_to, state.read_to};
    }
    return found;
}

}  // namespace feed
