// A projection's part of a pass: folds the readings that the pass has gathered, and writes the result into the projection's
// state table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <span>
#include <string>
#include <vector>

#include "model/event.hpp"
#include "postgres/types.hpp"
#include "projection/fold.hpp"
#include "projection/gathered.hpp"
#include "read_model/registry.hpp"
#include "read_model/state_table.hpp"

namespace feed {
class Reach;
}

namespace projection {

// Do the readings take as much memory as they may? That is maintenance_work_mem, within 16 MB and 1 GB. The caller then writes
// them.
bool fill_memory(const Gathered& readings) noexcept;

class Target {
public:
    // Writes rows of this generation; 0: of a new one.
    Target(const read_model::Definition& definition, std::int32_t generation, const Gathered& gathered);
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const std::string& projection() const noexcept { return definition_.name; }
    bool parks() const noexcept { return definition_.parks; }
    bool keeps_counters() const noexcept { return !definition_.counters.empty(); }

    // Folds the readings, and calls `take` with about a megabyte of deltas at a time, as Fold::run() does.
    void fold(Orders& orders, const Fold::Take& take) const;

    // The caller holds the apply lock, and took it before it took `snapshot`. `reach` is that of the projection with this pass,
    // but for parked events; only a projection that keeps counters looks at it.
    void write(Orders& orders, const feed::Reach& reach, ::Snapshot snapshot) const;

    void open(::Snapshot snapshot) { read_model::open_state(table_, snapshot); }
    std::int32_t generation() const noexcept { return table_.generation; }

private:
    read_model::Definition definition_;
    Filter filter_;
    const Gathered& gathered_;
    read_model::StateTable table_;
};

// The targets of one pass, and the readings that it has gathered.
class Targets {
public:
    explicit Targets(std::pmr::memory_resource* memory = std::pmr::get_default_resource()) : gathered_(memory) {}
    Targets(const Targets&) = delete;
    Targets& operator=(const Targets&) = delete;

    // TC204 if something on the table would be bypassed. The table is locked.
    void open(const read_model::Definition& definition, std::int32_t generation, ::Snapshot snapshot);

    void add(std::span<const model::Event> readings) {
        if (!targets_.empty()) gathered_.add(readings);
    }

    bool are_full() const noexcept { return fill_memory(gathered_); }

    bool keep_counters() const noexcept;

    // Calls `write(target, write_it)` for each target, where write_it() folds the readings and writes them.
    template <typename Write>
    void for_each(const feed::Reach& reach, ::Snapshot snapshot, Write&& write) const {
        Orders orders(gathered_);
        for (const auto& target : targets_) write(*target, [&] { target->write(orders, reach, snapshot); });
    }

    // Writes what was gathered, makes it visible to `snapshot`, and forgets it.
    void spill(const feed::Reach& reach, ::Snapshot snapshot);

private:
    Gathered gathered_;
    std::vector<std::unique_ptr<Target>> targets_;
};

}  // namespace projection
