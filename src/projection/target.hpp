// A projection's part of a pass: folds the events that the pass reads, and writes the result into the projection's tables.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/event.hpp"
#include "postgres/types.hpp"
#include "projection/fold.hpp"
#include "read_model/registry.hpp"

namespace projection {

class Target {
public:
    explicit Target(const read_model::Definition& definition);

    const std::string& projection() const noexcept { return name_; }

    // TC204 if something on a table would be bypassed. The tables are locked.
    void refuse_obstacles() const;

    void add(std::span<const model::Event> readings) { fold_->add(readings); }

    // How many rows `write` would write by now.
    std::size_t size() const noexcept { return fold_->size(); }

    // Forgets what it has folded.
    void clear() { fold_ = std::make_unique<Fold>(grain_); }

    // The caller holds the apply lock, and took it before it took `snapshot`.
    void write(::Snapshot snapshot) const;

private:
    std::string name_;
    read_model::Grain grain_;
    std::unique_ptr<Fold> fold_;
};

// The targets of one pass.
using Targets = std::vector<std::unique_ptr<Target>>;

// How many rows they would write together.
std::size_t size_of(const Targets& targets) noexcept;

// A pass keeps its deltas in memory until it writes them, in less than 200 bytes each. So it writes when it has this many, or
// ends. Readings with many metrics reach it.
inline constexpr std::size_t kMostDeltas = 500000;

}  // namespace projection
