// Writes the registry by SQL, so that all defaults, constraints and triggers that a user put on it count.
#include "device/registration.hpp"

#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

constexpr postgres::Statement kCompare{
    postgres::SqlCommand::kSelect,
    "SELECT region, $2 IS NOT NULL AND $2 IS DISTINCT FROM region, $3 IS NOT NULL AND $3 IS DISTINCT FROM expected_interval, "
    "$4 IS NOT NULL AND $4 IS DISTINCT FROM attributes FROM telemetry.device WHERE device_id = $1",
    4,
    {TEXTOID, TEXTOID, INTERVALOID, JSONBOID},
    nullptr};

// P. Compares what was sent with the row of a known device. The caller has opened the statements.
Registration compared(Datum* sent, const char* nulls, MemoryContext caller) {
    Registration found;
    const postgres::StatementResult rows = postgres::execute(kCompare, sent, nulls);
    if (rows.row_count == 0) return found;  // deleted meanwhile, or a trigger kept it out
    bool is_null;
    const auto differs = [&rows](int column) {
        bool is_unknown;
        return DatumGetBool(postgres::value_of(rows, 0, column, &is_unknown));
    };
    found.has_other_region = differs(2);
    found.has_other_interval = differs(3);
    found.has_other_attributes = differs(4);
    const Datum region = postgres::value_of(rows, 0, 1, &is_null);
    const MemoryContext statements = MemoryContextSwitchTo(caller);
    found.region = postgres::optional_view_of(is_null ? nullptr : postgres::copied_text(region));
    MemoryContextSwitchTo(statements);
    return found;
}

}  // namespace

Registration register_one(text* device_id, text* region, Interval* expected_interval, Jsonb* attributes) {
    return postgres::guarded([=] {
        const MemoryContext caller = CurrentMemoryContext;
        // A column without a value is not named, so that it gets its default.
        struct Given {
            const char* column;
            Oid type;
            void* value;
        };
        const Given all[] = {{"device_id", TEXTOID, device_id},
                             {"region", TEXTOID, region},
                             {"expected_interval", INTERVALOID, expected_interval},
                             {"attributes", JSONBOID, attributes}};
        StringInfoData columns, parameters;
        initStringInfo(&columns);
        initStringInfo(&parameters);
        postgres::Statement statement{postgres::SqlCommand::kInsert, nullptr, 0, {}, nullptr};
        Datum values[lengthof(all)];
        for (const Given& each : all) {
            if (each.value == nullptr) continue;
            statement.parameter_types[statement.parameter_count] = each.type;
            values[statement.parameter_count++] = PointerGetDatum(each.value);
            const char* separator = statement.parameter_count > 1 ? ", " : "";
            appendStringInfo(&columns, "%s%s", separator, each.column);
            appendStringInfo(&parameters, "%s$%d", separator, statement.parameter_count);
        }
        statement.text = psprintf("INSERT INTO telemetry.device (%s) VALUES (%s) ON CONFLICT (device_id) DO NOTHING",
                                  columns.data, parameters.data);
        postgres::refuse_statement_obstacle(runtime::kDeviceTable);
        const postgres::StatementScope statements = postgres::open_statements();
        Registration registration;
        registration.is_new = postgres::execute(statement, values).row_count == 1;
        if (!registration.is_new) {
            Datum sent[lengthof(all)];
            char nulls[lengthof(all)];
            for (std::size_t i = 0; i < lengthof(all); ++i) {
                sent[i] = PointerGetDatum(all[i].value);
                nulls[i] = all[i].value == nullptr ? 'n' : ' ';
            }
            registration = compared(sent, nulls, caller);
        }
        postgres::close_statements(statements);
        return registration;
    });
}

Relocation relocate(text* device_id, text* region) {
    return postgres::guarded([=] {
        constexpr postgres::Statement kRelocate{
            postgres::SqlCommand::kUpdate,
            "UPDATE telemetry.device SET region = $2 WHERE device_id = $1 AND region IS DISTINCT FROM $2",
            2,
            {TEXTOID, TEXTOID},
            nullptr};
        constexpr postgres::Statement kFind{
            postgres::SqlCommand::kSelect, "SELECT FROM telemetry.device WHERE device_id = $1", 1, {TEXTOID}, nullptr};
        Datum values[] = {PointerGetDatum(device_id), PointerGetDatum(region)};
        postgres::refuse_statement_obstacle(runtime::kDeviceTable);
        const postgres::StatementScope statements = postgres::open_statements();
        Relocation relocation = Relocation::kRelocated;
        if (postgres::execute(kRelocate, values, region == nullptr ? " n" : nullptr).row_count == 0)
            relocation = postgres::execute(kFind, values).row_count == 1 ? Relocation::kSameRegion : Relocation::kUnknownDevice;
        postgres::close_statements(statements);
        return relocation;
    });
}

bool set_expected_interval(text* device_id, Interval* expected_interval) {
    return postgres::guarded([=] {
        constexpr postgres::Statement kSet{postgres::SqlCommand::kUpdate,
                                           "UPDATE telemetry.device SET expected_interval = $2 WHERE device_id = $1",
                                           2,
                                           {TEXTOID, INTERVALOID},
                                           nullptr};
        Datum values[] = {PointerGetDatum(device_id), PointerGetDatum(expected_interval)};
        postgres::refuse_statement_obstacle(runtime::kDeviceTable);
        const postgres::StatementScope statements = postgres::open_statements();
        const bool is_known = postgres::execute(kSet, values, expected_interval == nullptr ? " n" : nullptr).row_count == 1;
        postgres::close_statements(statements);
        return is_known;
    });
}

}  // namespace device
