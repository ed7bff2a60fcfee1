// A projection's part of a pass: folds the events that the pass reads, and writes the result into the projection's tables.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

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

}  // namespace projection
