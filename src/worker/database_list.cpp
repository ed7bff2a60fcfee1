// The launcher is connected to no database. So this file reads pg_database by a scan, without the syscache.
#include "worker/database_list.hpp"

#include <algorithm>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/transaction.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kConnectionLimitOfHalfDropped = -2;  // an interrupted DROP DATABASE leaves this in datconnlimit

bool can_be_served(Form_pg_database database) {
    return database->datallowconn && !database->datistemplate && database->datconnlimit != kConnectionLimitOfHalfDropped;
}

struct DatabaseRow {
    Oid oid;
    NameData name;
};

// P. Returns rows in the current memory context.
postgres::GrowingArray<DatabaseRow> read_rows() {
    (void)GetTransactionSnapshot();
    postgres::GrowingArray<DatabaseRow> rows{};
    Relation relation = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (can_be_served(database)) postgres::append(rows, DatabaseRow{database->oid, database->datname});
    }
    table_endscan(scan);
    table_close(relation, AccessShareLock);
    return rows;
}

bool is_equal(const VirtualTransactionId& left, const VirtualTransactionId& right) {
    return VirtualTransactionIdEquals(left, right);
}

}  // namespace

std::vector<Database> list_databases() {
    postgres::Transaction transaction;
    const postgres::GrowingArray<DatabaseRow> rows = postgres::guarded(read_rows);
    std::vector<Database> databases;
    databases.reserve(rows.count);
    for (const DatabaseRow& each : rows) databases.push_back({each.oid, NameStr(each.name)});
    transaction.commit();
    return databases;
}

// Looks for locks of other sessions that conflict with the lock that a starting connection takes. Taking that lock for a moment
// would tell as much, but would cost several times as much, and an idle projector looks all day.
DatabaseLockWatch::Sight DatabaseLockWatch::look(Oid database) {
    struct LockHolders {
        VirtualTransactionId* holders;
        int count;
    };
    const LockHolders found = postgres::guarded([database] {
        LOCKTAG tag;
        SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
        LockHolders result{nullptr, 0};
        result.holders = GetLockConflicts(&tag, RowExclusiveLock, &result.count);
        return result;
    });
    const std::vector<VirtualTransactionId> before = std::move(holders_);
    holders_.assign(found.holders, found.holders + found.count);
    postgres::guarded([&found] { pfree(found.holders); });
    if (holders_.empty()) return Sight::kNobody;
    if (before.empty()) return Sight::kFirst;
    const bool is_same =
        std::find_first_of(before.begin(), before.end(), holders_.begin(), holders_.end(), is_equal) != before.end();
    return is_same ? Sight::kSame : Sight::kOthers;
}

}  // namespace worker
