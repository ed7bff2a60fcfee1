// Connects folds with state tables.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "postgres/error.hpp"
#include "postgres/types.hpp"
#include "postgres/transaction.hpp"

namespace projection {

Target::Target(const read_model::Definition& definition, std::int32_t generation, const Numbering& numbering)
    : definition_(definition),
      numbering_(numbering),
      table_{.name = read_model::state_table_of(definition.name),
             .generation = generation,
             .has_region = definition.grain == read_model::Grain::kDevice,
             .has_sketches = definition.has_sketches},
      fold_(std::make_unique<Fold>(definition_, numbering)) {}

void Target::write(std::span<const std::uint32_t> ranks, ::Snapshot snapshot) const {
    read_model::add_deltas(table_, fold_->deltas(ranks), snapshot);
}

void Targets::open(const read_model::Definition& definition, std::int32_t generation, ::Snapshot snapshot) {
    auto target = std::make_unique<Target>(definition, generation, numbering_);
    target->open(snapshot);
    targets_.push_back(std::move(target));
}

void Targets::add(std::span<const model::Event> readings) {
    const NumberedReadings numbered = numbering_.number(readings);
    for (const auto& target : targets_) target->add(numbered);
}

std::size_t Targets::bytes() const noexcept {
    std::size_t bytes = numbering_.bytes();
    for (const auto& target : targets_) bytes += target->bytes();
    return bytes;
}

void Targets::spill(::Snapshot snapshot) {
    for_each(snapshot, [](Target& target, auto&& write) {
        write();
        target.clear();
    });
    postgres::guarded([] { postgres::show_own_writes(); });
}

}  // namespace projection
