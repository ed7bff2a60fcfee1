// Reading and making the rows of telemetry.installation and telemetry.epoch.
#include "event_log/epoch.hpp"

#include <cstring>
#include <string>

#include "error_codes.hpp"
#include "event_log/epoch_columns.hpp"
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
bool has_made_rows = false;

void end_of_transaction(XactEvent event, void*) noexcept {
    if (!has_made_rows) return;
    if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) is_opened = false;
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) has_made_rows = false;
}

void end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) noexcept {
    if (has_made_rows && event == SUBXACT_EVENT_ABORT_SUB) is_opened = false;
}

// Columns in the order of the install script.
enum InstallationColumn { kScope, kFingerprintVersion, kSecret, kCreatedAt };

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
struct OpeningFacts {
    bool has_secret, is_secret_in_flight;
    unsigned char secret[16];
    int fingerprint_version;
    TimestampTz created_at;

    bool has_epoch, is_epoch_in_flight;  // of the newest epoch
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

void read_installation(Oid table, OpeningFacts& facts) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    postgres::for_each_row(table, &dirty, [&](TupleTableSlot* row) {
        const bool is_in_flight = TransactionIdIsValid(dirty.xmin);
        const Datum* value = row->tts_values;
        const char* secret = postgres::view_of(value[kSecret]).data();
        if (facts.has_secret && memcmp(facts.secret, secret, sizeof facts.secret) != 0) facts.is_mixed = true;
        if (facts.has_secret && (is_in_flight || !facts.is_secret_in_flight)) return;
        memcpy(facts.secret, secret, sizeof facts.secret);
        facts.fingerprint_version = DatumGetInt16(value[kFingerprintVersion]);
        facts.created_at = DatumGetTimestampTz(value[kCreatedAt]);
        facts.has_secret = true;
        facts.is_secret_in_flight = is_in_flight;
        facts.is_mine = facts.is_mine || postgres::is_of_this_transaction(row);
    });
}

void read_epoch(Oid table, OpeningFacts& facts) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    postgres::for_each_row(table, &dirty, [&](TupleTableSlot* row) {
        const bool is_in_flight = TransactionIdIsValid(dirty.xmin);
        const Datum* value = row->tts_values;
        const int epoch = DatumGetInt32(value[kEpochNumber]);
        if (facts.has_epoch && epoch < facts.epoch) return;
        const runtime::Identity place{.system_identifier = static_cast<uint64>(DatumGetInt64(value[kSystemIdentifier])),
                                      .database = static_cast<Oid>(DatumGetInt64(value[kDatabaseOid])),
                                      .log = static_cast<Oid>(DatumGetInt64(value[kLogOid])),
                                      .timeline = static_cast<TimeLineID>(DatumGetInt32(value[kTimeline]))};
        if (facts.has_epoch && epoch == facts.epoch) {
            if (!is_same_place(place, facts.identity)) facts.is_mixed = true;
            if (is_in_flight || !facts.is_epoch_in_flight) return;
        }
        facts.has_epoch = true;
        facts.is_epoch_in_flight = is_in_flight;
        facts.epoch = epoch;
        facts.identity = place;
        facts.opened_xid = DatumGetFullTransactionId(value[kOpenedXid]);
        facts.opened_at = DatumGetTimestampTz(value[kOpenedAt]);
        facts.has_first_xid = read_first_xid(row, facts.first_xid);
        facts.is_mine = facts.is_mine || postgres::is_of_this_transaction(row);
    });
}

OpeningFacts read_rows(const runtime::Installed& relations) {
    OpeningFacts facts{};
    read_installation(relations.installation, facts);
    read_epoch(relations.epoch, facts);
    return facts;
}

bool is_here(const OpeningFacts& facts, const runtime::Identity& here) {
    return facts.has_epoch && is_same_place(facts.identity, here);
}

bool is_complete(const OpeningFacts& facts, const runtime::Identity& here) {
    return facts.has_secret && !facts.is_secret_in_flight && is_here(facts, here) && !facts.is_epoch_in_flight &&
           !facts.is_mixed;
}

// P. Writes a row. Without its rows the log would be opened in vain, by each command anew.
void write_row(const char* table, const postgres::Statement& statement, Datum* values, const char* nulls = nullptr) {
    if (postgres::execute(statement, values, nulls).row_count == 1) return;
    ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle), errmsg("table telemetry.%s took no row", table),
                    errdetail("A trigger or a rule on the table keeps rows out."),
                    errhint("\\d telemetry.%s in psql names it. Drop it.", table)));
}

void write_installation(OpeningFacts& facts) {
    if (!facts.has_secret) {
        if (!pg_strong_random(facts.secret, sizeof facts.secret))
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate the secret of the installation")));
        facts.fingerprint_version = kVersionOfFingerprints;
        facts.created_at = GetCurrentTimestamp();
        facts.has_secret = true;
    }
    const std::string_view secret(reinterpret_cast<const char*>(facts.secret), sizeof facts.secret);
    Datum values[] = {Int32GetDatum(facts.fingerprint_version), postgres::bytea_datum(secret),
                      TimestampTzGetDatum(facts.created_at)};
    write_row("installation", kInsertInstallation, values);
}

void write_epoch(OpeningFacts& facts, const runtime::Identity& here, Oid table) {
    if (!is_here(facts, here)) {
        facts.epoch = number_of_next_epoch(facts.epoch, facts.has_epoch ? &facts.identity : nullptr, here);
        facts.has_epoch = true;
        facts.identity = here;
        facts.opened_xid = GetTopFullTransactionId();
        facts.opened_at = GetCurrentTimestamp();
        // The own transaction is among those that run.
        facts.first_xid = FullTransactionIdFromU64(oldest_running_transaction());
        facts.has_first_xid = true;
    }
    // Installed by an older version the table lacks the last column.
    const bool has_column = get_attnum(table, "first_xid") != InvalidAttrNumber;
    Datum values[] = {Int32GetDatum(facts.epoch),
                      Int64GetDatum(static_cast<int64>(here.system_identifier)),
                      Int64GetDatum(static_cast<int64>(here.database)),
                      Int64GetDatum(static_cast<int64>(here.log)),
                      Int32GetDatum(static_cast<int32>(here.timeline)),
                      FullTransactionIdGetDatum(facts.opened_xid),
                      TimestampTzGetDatum(facts.opened_at),
                      FullTransactionIdGetDatum(facts.first_xid)};
    const char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', facts.has_first_xid ? ' ' : 'n', '\0'};
    write_row("epoch", has_column ? kInsertEpoch : kInsertEpochOfFirstVersion, values, nulls);
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
OpeningFacts find_or_make(const runtime::Installed& relations, const runtime::Identity& here) {
    if (!is_watching) watch();
    OpeningFacts facts = read_rows(relations);
    if (!is_complete(facts, here)) {
        const LOCKTAG lock = opening_lock();
        LockAcquire(&lock, ExclusiveLock, false, false);
        facts = read_rows(relations);
        // Under the lock nobody makes new words, so what differs was loaded by hand.
        if (facts.is_mixed)
            ereport(ERROR, (errcode(error_codes::kLogWasAltered), errmsg("two histories are mixed in the event log"),
                            errdetail("telemetry.installation or telemetry.epoch has rows of two installations."),
                            errhint("Restore a dump into a database in which no reading was accepted yet.")));
        if (!is_complete(facts, here)) {
            PushActiveSnapshot(GetTransactionSnapshot());
            const postgres::StatementScope statements = postgres::open_statements();
            if (!facts.has_epoch || !is_same_log(facts.identity, here)) move_sequences_past_stored_rows();
            if (!facts.has_secret || facts.is_secret_in_flight) write_installation(facts);
            TELEMETRY_INJECTION_POINT_IN_P("epoch_half_open");
            if (!is_here(facts, here) || facts.is_epoch_in_flight) write_epoch(facts, here, relations.epoch);
            postgres::close_statements(statements);
            PopActiveSnapshot();
            facts.is_mine = true;
        }
        LockRelease(&lock, ExclusiveLock, false);
    }
    if (facts.is_mine) has_made_rows = true;
    return facts;
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
    const OpeningFacts facts = postgres::guarded([&] { return find_or_make(relations, here); });
    // Nobody's earlier delivery would be recognised.
    if (facts.fingerprint_version != kVersionOfFingerprints)
        throw postgres::Error(error_codes::kNotInstalled, "the event log is of another version of telemetry_cqrs",
                              "Its fingerprints are of version " + std::to_string(facts.fingerprint_version) +
                                  ", those of this library of version " + std::to_string(kVersionOfFingerprints) + ".",
                              "Install the version of telemetry_cqrs that wrote the log, or a later one.");
    // Numbers that the session has in store may be of a time before the rows that came here from another place.
    const std::uint64_t opened_xid = U64FromFullTransactionId(facts.opened_xid);
    if (opened.epoch != model::Epoch{facts.epoch} || known_opening != opened_xid || known_log != here.log)
        opened.last_stale_event_id = postgres::guarded([&] { return last_number_given(relations.event_id_sequence); });
    known_opening = opened_xid;
    known_log = here.log;
    opened.epoch = model::Epoch{facts.epoch};
    std::memcpy(opened.secret.bytes.data(), facts.secret, sizeof facts.secret);
    generation = runtime::installed_generation();
    is_opened = true;
    return opened;
}

}  // namespace event_log
