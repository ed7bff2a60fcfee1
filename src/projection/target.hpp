// A projection's part of a pass: folds the events that the pass reads, and writes the result into the projection's state table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/event.hpp"
#include "postgres/types.hpp"
#include "projection/fold.hpp"
#include "projection/numbering.hpp"
#include "read_model/registry.hpp"
#include "read_model/state_table.hpp"

namespace feed {
class Reach;
}

namespace projection {

class Target {
public:
    // Writes rows of this generation; 0: of a new one.
    Target(const read_model::Definition& definition, std::int32_t generation, const Numbering& numbering);
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const std::string& projection() const noexcept { return definition_.name; }
    bool parks() const noexcept { return definition_.parks; }

    void add(const NumberedReadings& readings) { fold_->add(readings); }
    std::size_t bytes() const noexcept { return fold_->bytes(); }

    // Forgets what it has folded.
    void clear() { fold_ = std::make_unique<Fold>(definition_, filter_, numbering_); }

    // The deltas that it has folded. `ranks` are those of the numbering.
    std::vector<const read_model::GroupDelta*> deltas(std::span<const std::uint32_t> ranks) const {
        return fold_->deltas(ranks);
    }

    bool keeps_counters() const noexcept { return !definition_.counters.empty(); }

    // The caller holds the apply lock, and took it before it took `snapshot`. `reach` is that of the projection with this pass,
    // but for parked events; only a projection that keeps counters looks at it.
    void write(std::span<const std::uint32_t> ranks, const feed::Reach& reach, ::Snapshot snapshot) const;

    void open(::Snapshot snapshot) { read_model::open_state(table_, snapshot); }
    std::int32_t generation() const noexcept { return table_.generation; }

private:
    read_model::Definition definition_;
    Filter filter_;
    const Numbering& numbering_;
    read_model::StateTable table_;
    std::unique_ptr<Fold> fold_;
};

// The targets of one pass.
class Targets {
public:
    Targets() = default;
    Targets(const Targets&) = delete;
    Targets& operator=(const Targets&) = delete;

    // TC204 if something on the table would be bypassed. The table is locked.
    void open(const read_model::Definition& definition, std::int32_t generation, ::Snapshot snapshot);

    void add(std::span<const model::Event> readings);

    // For a target that only folds, and whose table is not opened.
    Target& add_target(const read_model::Definition& definition);

    const Numbering& numbering() const noexcept { return numbering_; }

    // Do the deltas take as much memory as they may? That is maintenance_work_mem, and 64 MB at least. The caller then writes
    // them.
    bool are_full() const noexcept;

    bool keep_counters() const noexcept;

    // Calls `write(target, write_it)` for each target, where write_it() writes what it has folded.
    template <typename Write>
    void for_each(const feed::Reach& reach, ::Snapshot snapshot, Write&& write) const {
        const std::vector<std::uint32_t> ranks = numbering_.ranks();
        for (const auto& target : targets_) write(*target, [&] { target->write(ranks, reach, snapshot); });
    }

    // Writes what the targets hold, makes it visible to `snapshot`, and empties them.
    void spill(const feed::Reach& reach, ::Snapshot snapshot);

private:
    Numbering numbering_;
    std::vector<std::unique_ptr<Target>> targets_;
};

}  // namespace projection
