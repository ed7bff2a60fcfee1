// Reading and making the rows of telemetry.installation and telemetry.epoch.
#include "event_log/epoch.hpp"

#include <cstring>
#include <string>

#include "error_codes.hpp"
#include "event_log/position.hpp"
#include "event_log/sequences.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr int kVersionOfFingerprints = model::kFingerprintVersion;
constexpr uint16 kOpeningLockClass = 0x5445;  // in pg_locks.objsubid; SQL's advisory locks use 1 and 2

// Session state, plain data. `opened` holds while `is_opened` and the relations are those of `generation`.
Opened opened;
bool is_opened = false;
unsigned generation = 0;
bool is_watching = false;

// The opening that `opened` is of, also while not `is_opened`.
std::uint64_t known_opening = 0;
Oid known_log = InvalidOid;

// Rows made by a transaction that rolls back never were.
bool made_in_this_transaction = false;

void end_of_transaction(XactEvent event, void*) noexcept {
    if (!made_in_this_transaction) return;
    if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) is_opened = false;
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
        made_in_this_transaction = false;
}

void end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) noexcept {
    if (made_in_this_transaction && event == SUBXACT_EVENT_ABORT_SUB) is_opened = false;
}

// Columns in the order of the install script.
enum InstallationColumn { kScope, kFingerprintVersion, kSecret, kCreatedAt };
enum EpochColumn {
    kEpoch,
    kSystemIdentifier,
    kDatabaseOid,
    kLogOid,
    kTimeline,
    kOpenedXid,
    kOpenedAt,
    kEpochColumns  // of version 1.0; first_xid is behind them
};

constexpr postgres::Statement kInsertInstallation{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.installation (scope, fingerprint_version, secret, created_at) "
    "VALUES ('key', $1::pg_catalog.int2, $2, $3)",
    3,
    {INT4OID, BYTEAOID, TIMESTAMPTZOID},
    nullptr};
constexpr postgres::Statement kInsertEpoch{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.epoch (epoch, system_identifier, database_oid, log_oid, timeline, opened_xid, opened_at, first_xid) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    8,
    {INT4OID, INT8OID, INT8OID, INT8OID, INT4OID, XID8OID, TIMESTAMPTZOID, XID8OID},
    nullptr};
constexpr postgres::Statement kInsertEpochOfFirstVersion{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.epoch (epoch, system_identifier, database_oid, log_oid, timeline, opened_xid, opened_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)",
    7,
    {INT4OID, INT8OID, INT8OID, INT8OID, INT4OID, XID8OID, TIMESTAMPTZOID},
    nullptr};

// The facts of the two tables, as a dirty read finds them: also those that another transaction has written and not committed.
struct Found {
    bool has_secret, secret_in_flight;
    unsigned char secret[16];
    int fingerprint_version;
    TimestampTz created_at;

    bool has_epoch, epoch_in_flight;  // of the newest epoch
    int epoch;
    runtime::Identity identity;
    FullTransactionId opened_xid;
    TimestampTz opened_at;
    bool has_first_xid;
    FullTransactionId first_xid;

    bool is_mine;   // written by this very transaction
    bool is_mixed;  // rows that must be the same word for word are not
};

bool is_same_place(const runtime::Identity& a, const runtime::Identity& b) {
    return a.system_identifier == b.system_identifier && a.database == b.database && a.log == b.log && a.timeline == b.timeline;
}

// The same log, perhaps on an earlier timeline: its sequences go on.
bool is_same_log(const runtime::Identity& a, const runtime::Identity& b) {
    return a.system_identifier == b.system_identifier && a.database == b.database && a.log == b.log;
}

void read_installation(Oid table, Found& found) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    postgres::for_each_row(table, &dirty, [&](TupleTableSlot* row) {
        const bool in_flight = TransactionIdIsValid(dirty.xmin);
        const Datum* value = row->tts_values;
        const char* secret = postgres::view_of(value[kSecret]).data();
        if (found.has_secret && memcmp(found.secret, secret, sizeof found.secret) != 0) found.is_mixed = true;
        if (found.has_secret && (in_flight || !found.secret_in_flight)) return;
        memcpy(found.secret, secret, sizeof found.secret);
        found.fingerprint_version = DatumGetInt16(value[kFingerprintVersion]);
        found.created_at = DatumGetTimestampTz(value[kCreatedAt]);
        found.has_secret = true;
        found.secret_in_flight = in_flight;
        found.is_mine = found.is_mine || postgres::is_of_this_transaction(row);
    });
}

void read_epoch(Oid table, Found& found) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    postgres::for_each_row(table, &dirty, [&](TupleTableSlot* row) {
        const bool in_flight = TransactionIdIsValid(dirty.xmin);
        const Datum* value = row->tts_values;
        const int epoch = DatumGetInt32(value[kEpoch]);
        if (found.has_epoch && epoch < found.epoch) return;
        const runtime::Identity place{.system_identifier = static_cast<uint64>(DatumGetInt64(value[kSystemIdentifier])),
                                      .database = static_cast<Oid>(DatumGetInt64(value[kDatabaseOid])),
                                      .log = static_cast<Oid>(DatumGetInt64(value[kLogOid])),
                                      .timeline = static_cast<TimeLineID>(DatumGetInt32(value[kTimeline]))};
        if (found.has_epoch && epoch == found.epoch) {
            if (!is_same_place(place, found.identity)) found.is_mixed = true;
            if (in_flight || !found.epoch_in_flight) return;
        }
        found.has_epoch = true;
        found.epoch_in_flight = in_flight;
        found.epoch = epoch;
        found.identity = place;
        found.opened_xid = DatumGetFullTransactionId(value[kOpenedXid]);
        found.opened_at = DatumGetTimestampTz(value[kOpenedAt]);
        found.has_first_xid = read_first_xid(row, found.first_xid);
        found.is_mine = found.is_mine || postgres::is_of_this_transaction(row);
    });
}

Found read_rows(const runtime::Installed& relations) {
    Found found{};
    read_installation(relations.installation, found);
    read_epoch(relations.epoch, found);
    return found;
}

bool is_here(const Found& found, const runtime::Identity& here) {
    return found.has_epoch && is_same_place(found.identity, here);
}

bool is_complete(const Found& found, const runtime::Identity& here) {
    return found.has_secret && !found.secret_in_flight && is_here(found, here) && !found.epoch_in_flight && !found.is_mixed;
}

// P. Writes a row. Without its rows the log would be opened in vain, by each command anew.
void write(const char* table, const postgres::Statement& statement, Datum* values, const char* nulls = nullptr) {
    if (postgres::execute(statement, values, nulls).row_count == 1) return;
    ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle), errmsg("table telemetry.%s took no row", table),
                    errdetail("A trigger or a rule on the table keeps rows out."),
                    errhint("\\d telemetry.%s in psql names it. Drop it.", table)));
}

void write_installation(Found& found) {
    if (!found.has_secret) {
        if (!pg_strong_random(found.secret, sizeof found.secret))
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate the secret of the installation")));
        found.fingerprint_version = kVersionOfFingerprints;
        found.created_at = GetCurrentTimestamp();
        found.has_secret = true;
    }
    const std::string_view secret(reinterpret_cast<const char*>(found.secret), sizeof found.secret);
    Datum values[] = {Int32GetDatum(found.fingerprint_version), postgres::bytea_datum(secret),
                      TimestampTzGetDatum(found.created_at)};
    write("installation", kInsertInstallation, values);
}

void write_epoch(Found& found, const runtime::Identity& here, Oid table) {
    if (!is_here(found, here)) {
        found.epoch = number_of_next_epoch(found.epoch, found.has_epoch ? &found.identity : nullptr, here);
        found.has_epoch = true;
        found.identity = here;
        found.opened_xid = GetTopFullTransactionId();
        found.opened_at = GetCurrentTimestamp();
        // The own transaction is among those that run.
        found.first_xid = FullTransactionIdFromU64(oldest_running_transaction());
        found.has_first_xid = true;
    }
    // Installed by an older version the table lacks the last column.
    const bool has_column = get_attnum(table, "first_xid") != InvalidAttrNumber;
    Datum values[] = {Int32GetDatum(found.epoch),
                      Int64GetDatum(static_cast<int64>(here.system_identifier)),
                      Int64GetDatum(static_cast<int64>(here.database)),
                      Int64GetDatum(static_cast<int64>(here.log)),
                      Int32GetDatum(static_cast<int32>(here.timeline)),
                      FullTransactionIdGetDatum(found.opened_xid),
                      TimestampTzGetDatum(found.opened_at),
                      FullTransactionIdGetDatum(found.first_xid)};
    const char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', found.has_first_xid ? ' ' : 'n', '\0'};
    write("epoch", has_column ? kInsertEpoch : kInsertEpochOfFirstVersion, values, nulls);
}

// Held for the moment of looking and writing only, not to the end of the transaction.
LOCKTAG opening_lock() {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kOpeningLockClass);
    return tag;
}

void watch() {
    RegisterXactCallback(end_of_transaction, nullptr);
    RegisterSubXactCallback(end_of_subtransaction, nullptr);
    is_watching = true;
}

// P. Finds the rows or makes what is missing. What a rival has written and not committed is written again, word for word: then
// the rows stand whichever of the two commits, and neither waits for the other.
Found find_or_make(const runtime::Installed& relations, const runtime::Identity& here) {
    if (!is_watching) watch();
    Found found = read_rows(relations);
    if (!is_complete(found, here)) {
        const LOCKTAG lock = opening_lock();
        LockAcquire(&lock, ExclusiveLock, false, false);
        found = read_rows(relations);
        // Under the lock nobody makes new words, so what differs was loaded by hand.
        if (found.is_mixed)
            ereport(ERROR, (errcode(error_codes::kLogWasAltered), errmsg("two histories are mixed in the event log"),
                            errdetail("telemetry.installation or telemetry.epoch has rows of two installations."),
                            errhint("Restore a dump into a database in which no reading was accepted yet.")));
        if (!is_complete(found, here)) {
            PushActiveSnapshot(GetTransactionSnapshot());
            const postgres::StatementScope statements = postgres::open_statements();
            if (!found.has_epoch || !is_same_log(found.identity, here)) move_sequences_past_stored_rows();
            if (!found.has_secret || found.secret_in_flight) write_installation(found);
            TELEMETRY_INJECTION_POINT_IN_P("epoch_half_open");
            if (!is_here(found, here) || found.epoch_in_flight) write_epoch(found, here, relations.epoch);
            postgres::close_statements(statements);
            PopActiveSnapshot();
            found.is_mine = true;
        }
        LockRelease(&lock, ExclusiveLock, false);
    }
    if (found.is_mine) made_in_this_transaction = true;
    return found;
}

}  // namespace

bool read_first_xid(TupleTableSlot* row, FullTransactionId& first_xid) {
    const TupleDesc columns = row->tts_tupleDescriptor;
    for (int i = kEpochColumns; i < columns->natts; ++i) {
        if (row->tts_isnull[i] || strcmp(NameStr(TupleDescAttr(columns, i)->attname), "first_xid") != 0) continue;
        first_xid = DatumGetFullTransactionId(row->tts_values[i]);
        return true;
    }
    return false;
}

std::int32_t number_of_next_epoch(std::int32_t last, const runtime::Identity* last_place, const runtime::Identity& here) {
    const bool goes_on = last_place != nullptr && is_same_log(*last_place, here) && here.timeline > last_place->timeline;
    return last + static_cast<std::int32_t>(goes_on ? here.timeline - last_place->timeline : here.timeline);
}

const Opened& open_for_writing() {
    const runtime::Installed& relations = runtime::installed();
    if (is_opened && generation == runtime::installed_generation()) return opened;
    const runtime::Identity here = runtime::current_identity();
    const Found found = postgres::guarded([&] { return find_or_make(relations, here); });
    // Nobody's earlier delivery would be recognised.
    if (found.fingerprint_version != kVersionOfFingerprints)
        throw postgres::Error(error_codes::kNotInstalled, "the event log is of another version of telemetry_cqrs",
                              "Its fingerprints are of version " + std::to_string(found.fingerprint_version) +
                                  ", those of this library of version " + std::to_string(kVersionOfFingerprints) + ".",
                              "Install the version of telemetry_cqrs that wrote the log, or a later one.");
    // Numbers that the session has in store may be of a time before the rows that came here from another place.
    const std::uint64_t opened_xid = U64FromFullTransactionId(found.opened_xid);
    if (opened.epoch != model::Epoch{found.epoch} || known_opening != opened_xid || known_log != here.log)
        opened.last_stale_event_id = postgres::guarded([&] { return last_number_given(relations.event_id_sequence); });
    known_opening = opened_xid;
    known_log = here.log;
    opened.epoch = model::Epoch{found.epoch};
    std::memcpy(opened.secret.bytes.data(), found.secret, sizeof found.secret);
    generation = runtime::installed_generation();
    is_opened = true;
    return opened;
}

}  // namespace event_log
