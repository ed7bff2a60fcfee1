// Connects folds with state tables.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include <algorithm>

#include "postgres/error.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "projection/parked_events.hpp"
#include "projection/recount.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

std::function<bool(std::string_view)> one_of(const std::vector<std::string>& texts) {
    return [&texts](std::string_view text) { return std::find(texts.begin(), texts.end(), text) != texts.end(); };
}

std::function<bool(std::string_view)> one_of(const std::optional<std::vector<std::string>>& texts) {
    return texts ? one_of(*texts) : nullptr;
}

std::function<bool(std::string_view)> like(const std::optional<std::string>& pattern) {
    if (!pattern) return nullptr;
    return [&pattern = *pattern](std::string_view text) {
        return postgres::guarded([&pattern, text] {
            return DatumGetBool(DirectFunctionCall2Coll(textlike, C_COLLATION_OID, postgres::text_datum(text),
                                                        postgres::text_datum(std::string_view(pattern))));
        });
    };
}

}  // namespace

Target::Target(const read_model::Definition& definition, std::int32_t generation, const Numbering& numbering)
    : definition_(definition),
      filter_{.takes_device = like(definition_.devices),
              .takes_region = one_of(definition_.regions),
              .takes_metric = one_of(definition_.metrics),
              .is_counter = definition_.counters.empty() ? nullptr : one_of(definition_.counters)},
      numbering_(numbering),
      table_{.name = read_model::state_table_of(definition.name),
             .generation = generation,
             .has_region = definition.grain == read_model::Grain::kDevice,
             .has_sketches = definition.has_sketches},
      fold_(std::make_unique<Fold>(definition_, filter_, numbering)) {}

void Target::write(std::span<const std::uint32_t> ranks, const feed::Reach& reach, ::Snapshot snapshot) const {
    feed::Reach own_reach = reach;
    if (keeps_counters()) own_reach.leave_out(find_parked_events({definition_.name, table_.generation}, snapshot));
    const RecountSource source{definition_, own_reach};
    read_model::add_deltas(table_, deltas(ranks), recount_from(source), snapshot);
}

void Targets::open(const read_model::Definition& definition, std::int32_t generation, ::Snapshot snapshot) {
    auto target = std::make_unique<Target>(definition, generation, numbering_);
    target->open(snapshot);
    targets_.push_back(std::move(target));
}

Target& Targets::add_target(const read_model::Definition& definition) {
    return *targets_.emplace_back(std::make_unique<Target>(definition, 0, numbering_));
}

void Targets::add(std::span<const model::Event> readings) {
    const NumberedReadings numbered = numbering_.number(readings);
    for (const auto& target : targets_) target->add(numbered);
}

bool Targets::are_full() const noexcept {
    constexpr std::size_t kLeastRoom = std::size_t{64} << 20;
    std::size_t bytes = numbering_.bytes();
    for (const auto& target : targets_) bytes += target->bytes();
    return bytes >= std::max(kLeastRoom, static_cast<std::size_t>(maintenance_work_mem) << 10);
}

bool Targets::keep_counters() const noexcept {
    return std::any_of(targets_.begin(), targets_.end(), [](const auto& target) { return target->keeps_counters(); });
}

void Targets::spill(const feed::Reach& reach, ::Snapshot snapshot) {
    for_each(reach, snapshot, [](Target& target, auto&& write) {
        write();
        target.clear();
    });
    postgres::guarded([] { postgres::show_own_writes(); });
}

}  // namespace projection
