// Connects a fold with the tables of its projection.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "read_model/state_tables.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

struct TargetTables {
    const read_model::GroupTable& groups;
    const postgres::OwnTable& metrics;
};

const TargetTables& tables_of(read_model::Grain grain) noexcept {
    static constexpr TargetTables kDevice{read_model::kDeviceGroups, runtime::kDeviceMetricStateTable};
    static constexpr TargetTables kRegion{read_model::kRegionGroups, runtime::kRegionMetricStateTable};
    return grain == read_model::Grain::kDevice ? kDevice : kRegion;
}

}  // namespace

Target::Target(const read_model::Definition& definition)
    : name_(definition.name), grain_(definition.grain), fold_(std::make_unique<Fold>(definition.grain)) {}

void Target::refuse_obstacles() const {
    postgres::guarded([&tables = tables_of(grain_)] {
        for (const postgres::OwnTable* own : {&tables.groups.table, &tables.metrics}) {
            Relation table = table_open(postgres::require_relation(own->name), RowExclusiveLock);
            postgres::refuse_native_obstacle(table, *own);
            table_close(table, NoLock);
        }
    });
}

void Target::write(::Snapshot snapshot) const {
    const TargetTables& tables = tables_of(grain_);
    read_model::add_groups(tables.groups, fold_->groups(), snapshot);
    read_model::add_metrics(tables.metrics, fold_->metrics(), snapshot);
}

std::size_t size_of(const Targets& targets) noexcept {
    std::size_t size = 0;
    for (const auto& target : targets) size += target->size();
    return size;
}

}  // namespace projection
