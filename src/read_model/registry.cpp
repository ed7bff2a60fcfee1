// Reads the registry. Both tables are small and seldom written, so a look reads them whole.
#include "read_model/registry.hpp"

#include <algorithm>

#include "error_codes.hpp"
#include "model/validation.hpp"
#include "postgres/catalog.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace read_model {
namespace {

enum RegistryColumn { kName, kGrain };

// Texts of one or two columns without destructors, for guarded blocks.
struct Texts {
    const char* name;
    const char* grain;  // null: the table has no such column
};
struct TextRows {
    Texts* rows;
    int count, capacity;
};

// P.
TextRows read_texts(const char* table_name, bool has_grain, ::Snapshot snapshot) {
    TextRows read{};
    const Oid table = postgres::find_relation(postgres::require_schema(), table_name);
    if (!OidIsValid(table)) return read;
    postgres::for_each_row(table, snapshot, [&read, has_grain](TupleTableSlot* slot) {
        if (read.count == read.capacity) {
            read.capacity = read.capacity == 0 ? 16 : 2 * read.capacity;
            const std::size_t size = sizeof(Texts) * static_cast<std::size_t>(read.capacity);
            read.rows = static_cast<Texts*>(read.rows == nullptr ? palloc(size) : repalloc(read.rows, size));
        }
        read.rows[read.count++] = {postgres::c_string_of(slot->tts_values[kName]),
                                   has_grain ? postgres::c_string_of(slot->tts_values[kGrain]) : nullptr};
    });
    return read;
}

Grain grain_of(const Texts& row) {
    if (std::string_view(row.grain) == "device") return Grain::kDevice;
    if (std::string_view(row.grain) == "region") return Grain::kRegion;
    throw postgres::Error(error_codes::kLogWasAltered, std::string("projection \"") + row.name + "\" has an unknown grain",
                          std::string("telemetry.projection says \"") + row.grain + "\".", "Grains are: device, region.");
}

}  // namespace

std::vector<Definition> read_registry(::Snapshot snapshot) {
    struct Read {
        TextRows definitions, pauses;
    };
    const postgres::ScopedMemory memory("telemetry_cqrs registry");
    const Read read = postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const Read result{read_texts("projection", true, snapshot), read_texts("pause", false, snapshot)};
        MemoryContextSwitchTo(caller);
        return result;
    });
    std::vector<Definition> definitions;
    for (int i = 0; i < read.definitions.count; ++i) {
        const Texts& row = read.definitions.rows[i];
        definitions.push_back({.name = row.name, .grain = grain_of(row), .is_paused = false});
    }
    // Version 1.0 has no registry.
    if (definitions.empty())
        definitions = {{.name = "device", .grain = Grain::kDevice}, {.name = "region", .grain = Grain::kRegion}};
    std::sort(definitions.begin(), definitions.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (int i = 0; i < read.pauses.count; ++i)
        for (Definition& each : definitions) each.is_paused = each.is_paused || each.name == read.pauses.rows[i].name;
    return definitions;
}

void require_projection(std::string_view name, ::Snapshot snapshot) {
    std::string known;
    for (const Definition& each : read_registry(snapshot)) {
        if (each.name == name) return;
        known.append(known.empty() ? "" : ", ").append(each.name);
    }
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                          "there is no projection " + postgres::presentable(model::quoted_for_message(name)), {},
                          "Projections are: " + known + ".");
}

}  // namespace read_model
