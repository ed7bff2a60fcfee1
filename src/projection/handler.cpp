// Calls a user's function by SQL, so that the server checks the role's right to it.
#include "projection/handler.hpp"

#include "feed/batch.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"

#include "postgres/pg.hpp"

namespace projection {

void call_handler(const read_model::Definition& definition, model::BatchId batch) {
    const Oid role = postgres::guarded([name = definition.runs_as.c_str()] { return get_role_oid(name, false); });
    const postgres::AsOwner as_role(role);
    postgres::guarded([function = definition.handler.c_str(), batch] {
        postgres::Statement statement{};
        statement.command = postgres::SqlCommand::kSelect;
        statement.text = psprintf("SELECT %s($1)", function);
        statement.parameter_count = 1;
        statement.parameter_types[0] = INT8OID;
        Datum argument = Int64GetDatum(batch.value);
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute(statement, &argument);
        postgres::close_statements(statements);
    });
}

std::optional<Consumed> handle_batch(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot) {
    const auto batch = feed::find_batch_after(consumer.cursor.batch, snapshot);
    if (!batch) return std::nullopt;
    call_handler(*consumer.definition, batch->batch_id);
    feed::Cursor to = cursor_after(*batch, consumer, progress);
    to.generation = 1;
    feed::write_cursor(consumer.projection(), to);
    return Consumed{.events = batch->events, .keeps_up = to.batch == progress.last_batch()};
}

}  // namespace projection
