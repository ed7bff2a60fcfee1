// Reads and writes the rows of telemetry.installation and telemetry.epoch.
#include "event_log/epoch.hpp"

#include <cstring>
#include <string>

#include "error_codes.hpp"
#include "event_log/epoch_columns.hpp"
#include "event_log/sequences.hpp"
#include "event_log/transaction.hpp"
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

// Session state, plain data. `opened` is valid while `is_opened` is true and the relations are those of `generation`.
Opened opened;
bool is_opened = false;
unsigned generation = 0;
bool is_watching = false;

// Names the opening from which `opened` comes, also while `is_opened` is false.
std::uint64_t known_opening = 0;
Oid known_log = InvalidOid;

// This transaction has written rows of the opening. If it rolls back, the session forgets them.
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

// The facts in the two tables, as a dirty read finds them. It also finds rows that other transactions have not committed.
struct OpeningFacts {
    bool has_secret, is_secret_in_flight;
    unsigned char secret[16];
    int fingerprint_version;
    TimestampTz created_at;

    bool has_epoch, is_epoch_in_flight;  // the newest epoch
    int epoch;
    runtime::LogPlace identity;
    FullTransactionId opened_xid;
    TimestampTz opened_at;
    bool has_first_xid;
    FullTransactionId first_xid;

    bool is_mine;   // this transaction has written a row
    bool is_mixed;  // rows differ that must be the same word for word
};

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
        const runtime::LogPlace place = place_of(row);
        if (facts.has_epoch && epoch == facts.epoch) {
            if (place != facts.identity) facts.is_mixed = true;
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

bool is_here(const OpeningFacts& facts, const runtime::LogPlace& here) {
    return facts.has_epoch && facts.identity == here;
}

bool is_complete(const OpeningFacts& facts, const runtime::LogPlace& here) {
    return facts.has_secret && !facts.is_secret_in_flight && is_here(facts, here) && !facts.is_epoch_in_flight &&
           !facts.is_mixed;
}

// P. Writes a row. TC204: the table took none. Without the row each command would open the log again, in vain.
void write_row(const char* table, const postgres::Statement& statement, Datum* values, const char* nulls = nullptr) {
    if (postgres::execute(statement, values, nulls).row_count == 1) return;
    ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle), errmsg("table telemetry.%s took no row", table),
                    errdetail("A trigger or a rule on the table keeps rows out."),
                    errhint("Drop that trigger or rule. \\d telemetry.%s in psql names it.", table)));
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

void write_epoch(OpeningFacts& facts, const runtime::LogPlace& here, Oid table) {
    if (!is_here(facts, here)) {
        facts.epoch = number_of_next_epoch(facts.epoch, facts.has_epoch ? &facts.identity : nullptr, here);
        facts.has_epoch = true;
        facts.identity = here;
        facts.opened_xid = GetTopFullTransactionId();
        facts.opened_at = GetCurrentTimestamp();
        // This transaction is among those that run.
        facts.first_xid = FullTransactionIdFromU64(oldest_running_transaction());
        facts.has_first_xid = true;
    }
    // The table of an older version lacks the last column.
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

// A session holds this lock while it looks and writes, not to the end of its transaction.
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

// P. Finds the rows, or writes those that are missing. If a rival has written a row and not committed, this writes the same row
// again, word for word. So the row stays if either of the two commits, and neither waits for the other.
OpeningFacts find_or_make(const runtime::Installed& relations, const runtime::LogPlace& here) {
    if (!is_watching) watch();
    OpeningFacts facts = read_rows(relations);
    if (!is_complete(facts, here)) {
        const LOCKTAG lock = opening_lock();
        LockAcquire(&lock, ExclusiveLock, false, false);
        facts = read_rows(relations);
        // Under the lock no other session chooses values. So rows that differ were loaded by hand.
        if (facts.is_mixed)
            ereport(ERROR, (errcode(error_codes::kLogWasAltered), errmsg("two histories are mixed in the event log"),
                            errdetail("telemetry.installation or telemetry.epoch has rows of two installations."),
                            errhint("Restore a dump into a database in which no reading was accepted yet.")));
        if (!is_complete(facts, here)) {
            PushActiveSnapshot(GetTransactionSnapshot());
            const postgres::StatementScope statements = postgres::open_statements();
            if (!facts.has_epoch || !runtime::is_same_log(facts.identity, here)) move_sequences_past_stored_rows();
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

// With other fingerprints the log would not recognise any earlier delivery.
void refuse_other_fingerprints(const OpeningFacts& facts) {
    if (facts.fingerprint_version == kVersionOfFingerprints) return;
    throw postgres::Error(error_codes::kNotInstalled, "the event log is of another version of telemetry_cqrs",
                          "Its fingerprints are of version " + std::to_string(facts.fingerprint_version) +
                              ", those of this library of version " + std::to_string(kVersionOfFingerprints) + ".",
                          "Install the version of telemetry_cqrs that wrote the log, or a later one.");
}

model::Secret secret_in(const OpeningFacts& facts) noexcept {
    model::Secret secret{};
    std::memcpy(secret.bytes.data(), facts.secret, sizeof facts.secret);
    return secret;
}

}  // namespace

runtime::LogPlace place_of(TupleTableSlot* row) {
    const Datum* value = row->tts_values;
    return {.system_identifier = static_cast<uint64>(DatumGetInt64(value[kSystemIdentifier])),
            .database = static_cast<Oid>(DatumGetInt64(value[kDatabaseOid])),
            .log = static_cast<Oid>(DatumGetInt64(value[kLogOid])),
            .timeline = static_cast<TimeLineID>(DatumGetInt32(value[kTimeline]))};
}

bool read_first_xid(TupleTableSlot* row, FullTransactionId& first_xid) {
    const TupleDesc columns = row->tts_tupleDescriptor;
    for (int i = kEpochColumns; i < columns->natts; ++i) {
        if (row->tts_isnull[i] || strcmp(NameStr(TupleDescAttr(columns, i)->attname), "first_xid") != 0) continue;
        first_xid = DatumGetFullTransactionId(row->tts_values[i]);
        return true;
    }
    return false;
}

std::int32_t number_of_next_epoch(std::int32_t last, const runtime::LogPlace* last_place, const runtime::LogPlace& here) {
    const bool goes_on =
        last_place != nullptr && runtime::is_same_log(*last_place, here) && here.timeline > last_place->timeline;
    return last + static_cast<std::int32_t>(goes_on ? here.timeline - last_place->timeline : here.timeline);
}

const Opened& open_for_writing() {
    const runtime::Installed& relations = runtime::installed();
    if (is_opened && generation == runtime::installed_generation()) return opened;
    const runtime::LogPlace here = runtime::current_place();
    const OpeningFacts facts = postgres::guarded([&] { return find_or_make(relations, here); });
    refuse_other_fingerprints(facts);
    // The session may have cached numbers of its sequence before rows with these numbers came from another place.
    const std::uint64_t opened_xid = U64FromFullTransactionId(facts.opened_xid);
    if (opened.epoch != model::Epoch{facts.epoch} || known_opening != opened_xid || known_log != here.log)
        opened.last_stale_event_id = postgres::guarded([&] { return last_number_given(relations.event_id_sequence); });
    known_opening = opened_xid;
    known_log = here.log;
    opened.epoch = model::Epoch{facts.epoch};
    opened.secret = secret_in(facts);
    generation = runtime::installed_generation();
    is_opened = true;
    return opened;
}

std::optional<Opened> find_opened() {
    const runtime::Installed& relations = runtime::installed();
    if (is_opened && generation == runtime::installed_generation()) return opened;
    const OpeningFacts facts = postgres::guarded([&relations] { return read_rows(relations); });
    if (!facts.has_secret) return std::nullopt;
    refuse_other_fingerprints(facts);
    return Opened{model::Epoch{facts.epoch}, secret_in(facts)};
}

}  // namespace event_log
