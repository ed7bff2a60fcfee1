// Calls the SQL function that copies.
#include "projection/baseline.hpp"

#include <string_view>

#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr postgres::Statement kCopy{
    postgres::SqlCommand::kSelect, "SELECT telemetry.copy_baseline($1, $2)", 2, {TEXTOID, INT4OID}, nullptr};

}  // namespace

void copy_baseline(const Consumer& to) {
    postgres::guarded([&to] {
        Datum values[] = {postgres::text_datum(std::string_view(to.projection())), Int32GetDatum(to.cursor.generation)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute(kCopy, values);
        postgres::close_statements(statements);
    });
}

}  // namespace projection
