// Asks the server's commit log.
#include "subscription/commit_ends.hpp"

#include <algorithm>

#include "event_log/transaction.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/wal.hpp"

#include "postgres/pg.hpp"

namespace subscription {
namespace {

postgres::Statement select_is_own{
    postgres::SqlCommand::kSelect,
    "SELECT EXISTS (SELECT FROM telemetry.epoch e, telemetry.current_place() AS p WHERE e.epoch = $1 "
    "AND (e.system_identifier, e.database_oid, e.log_oid, e.timeline) = "
    "(p.system_identifier, p.database::bigint, p.log::bigint, p.timeline))",
    1,
    {INT4OID},
    nullptr};

bool is_own(model::Epoch epoch) {
    return postgres::guarded([epoch] {
        Datum value = Int32GetDatum(epoch.value);
        const postgres::StatementScope statements = postgres::open_statements();
        bool is_null = false;
        const bool is_own = DatumGetBool(postgres::value_of(postgres::execute_kept(select_is_own, &value), 0, 1, &is_null));
        postgres::close_statements(statements);
        return is_own;
    });
}

}  // namespace

std::uint64_t CommitEnds::last_of(model::Epoch epoch, const std::vector<model::Xid>& transactions) {
    const std::uint64_t end_of_all = postgres::guarded(postgres::end_of_log);
    if (own_epoch_ != epoch) {
        if (!is_own(epoch)) return end_of_all;
        own_epoch_ = epoch;
    }
    std::uint64_t end = 0;
    for (const model::Xid xid : transactions) end = std::max(end, event_log::end_of_commit(xid).value_or(end_of_all));
    return end;
}

}  // namespace subscription
