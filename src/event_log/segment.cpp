// Appending to one segment: opening, probing, storing. Written wholly in P: plain C types and palloc, no destructors.
#include "event_log/segment.hpp"

#include "error_codes.hpp"
#include "event_log/event_columns.hpp"
#include "event_log/metrics.hpp"
#include "model/event.hpp"
#include "postgres/command.hpp"
#include "postgres/injection_point.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

[[noreturn]] void report_altered(Relation table, const char* what) {
    ereport(ERROR, (errcode(error_codes::kLogWasAltered),
                    errmsg("segment \"%s\" of the event log was altered", RelationGetRelationName(table)),
                    errdetail("It has %s.", what),
                    errhint("Undo the change: the log is appended to natively, which would pass it by.")));
    pg_unreachable();
}

void check_unaltered(Relation table, const runtime::Installed& relations) {
    const TriggerDesc* triggers = table->trigdesc;
    if (triggers != nullptr &&
        (triggers->trig_insert_before_row || triggers->trig_insert_after_row || triggers->trig_insert_before_statement ||
         triggers->trig_insert_after_statement || triggers->trig_insert_instead_row || triggers->trig_insert_new_table))
        report_altered(table, "a trigger on INSERT");
    if (table->rd_rel->relrowsecurity) report_altered(table, "row security");
    if (table->rd_att->natts != kEventColumns) report_altered(table, "other columns than the extension made");
    List* indexes = RelationGetIndexList(table);
    if (list_length(indexes) != 2 || !list_member_oid(indexes, relations.segment_fingerprint_index) ||
        !list_member_oid(indexes, relations.segment_xid_index))
        ereport(ERROR, (errcode(error_codes::kLogWasAltered),
                        errmsg("segment \"%s\" of the event log was altered", RelationGetRelationName(table)),
                        errdetail("It has other indexes than the extension made."),
                        errhint("Drop the further index, an invalid one that REINDEX CONCURRENTLY left behind as well. "
                                "Rebuild an index of the log with plain REINDEX.")));
    list_free(indexes);
}

Datum fingerprint_datum(const Candidate& candidate) {
    return UUIDPGetDatum(reinterpret_cast<const pg_uuid_t*>(candidate.fingerprint.bytes.data()));
}

bool equals(Datum stored, std::string_view sent) {
    text* value = DatumGetTextPP(stored);
    return std::string_view(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)) == sent;
}

bool equals(Datum stored, bool stored_null, const std::optional<double>& sent) {
    if (stored_null || !sent) return stored_null && !sent;
    return DatumGetFloat8(stored) == *sent;
}

bool same_metrics(Datum stored, bool stored_null, std::span<const model::Metric> sent) {
    const Metrics kept = read_metrics(stored_null ? nullptr : DatumGetJsonbP(stored));
    if (static_cast<size_t>(kept.count) != sent.size()) return false;
    for (int i = 0; i < kept.count; ++i)
        if (kept.items[i].name != sent[i].name || kept.items[i].value != sent[i].value) return false;
    return true;
}

// Does the row in the slot carry the candidate's identity: device and key, or device and reading where there is no key?
bool is_same_identity(TupleTableSlot* row, const Candidate& candidate) {
    slot_getallattrs(row);
    const Datum* value = row->tts_values;
    const bool* isnull = row->tts_isnull;
    if (!equals(value[kDeviceId], candidate.reading.device_id)) return false;
    if (candidate.reading.idempotency_key)
        return !isnull[kIdempotencyKey] && equals(value[kIdempotencyKey], *candidate.reading.idempotency_key);
    return isnull[kIdempotencyKey] && DatumGetTimestampTz(value[kMeasuredAt]) == candidate.measured_at &&
           equals(value[kTemperature], isnull[kTemperature], candidate.reading.temperature) &&
           equals(value[kHumidity], isnull[kHumidity], candidate.reading.humidity) &&
           same_metrics(value[kMetrics], isnull[kMetrics], candidate.reading.metrics);
}

// Fills in the answer from the event stored before.
void judge(Segment& segment, Candidate& candidate) {
    TupleTableSlot* row = segment.probed;
    const HeapTupleHeader header = ExecFetchSlotHeapTuple(row, false, nullptr)->t_data;
    const bool is_mine = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header));
    if (!is_mine && IsolationUsesXactSnapshot() &&
        !table_tuple_satisfies_snapshot(segment.table, row, GetTransactionSnapshot()))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to a concurrent delivery of the same reading"),
                        errdetail("The first delivery committed after this transaction took its snapshot."),
                        errhint("Retry the transaction.")));
    const bool in_this_command = is_mine && HeapTupleHeaderGetCmin(header) >= segment.command_begun;
    candidate.stored_digest = DatumGetInt64(row->tts_values[kRequestDigest]);
    candidate.outcome = candidate.stored_digest != candidate.request_digest ? Outcome::kConflict
                        : in_this_command                                   ? Outcome::kAccepted
                                                                            : Outcome::kDuplicate;
    candidate.event_id = model::EventId{DatumGetInt64(row->tts_values[kEventId])};
    candidate.received_at = DatumGetTimestampTz(row->tts_values[kReceivedAt]);
    candidate.epoch = model::Epoch{DatumGetInt32(row->tts_values[kEpoch])};
    candidate.xid = model::Xid{U64FromFullTransactionId(DatumGetFullTransactionId(row->tts_values[kXid]))};
}

void next_salt(const Segment& segment, Candidate& candidate, unsigned salt) {
    const model::Secret& secret = segment.stamp->opened.secret;
    candidate.fingerprint =
        candidate.reading.idempotency_key
            ? model::keyed_fingerprint(secret, candidate.reading.device_id, *candidate.reading.idempotency_key, salt)
            : model::derived_fingerprint(secret, candidate.reading, salt);
}

}  // namespace

bool waits_for_rival = false;

void open_segment(Segment& segment, const runtime::Installed& relations, const Stamp& stamp) {
    segment.table = table_open(relations.segment, RowExclusiveLock);
    check_unaltered(segment.table, relations);
    segment.fingerprints = index_open(relations.segment_fingerprint_index, RowExclusiveLock);
    segment.xids = index_open(relations.segment_xid_index, RowExclusiveLock);
    segment.fingerprints_info = BuildIndexInfo(segment.fingerprints);
    segment.xids_info = BuildIndexInfo(segment.xids);
    InitDirtySnapshot(segment.dirty);
    segment.probe = index_beginscan(segment.table, segment.fingerprints, &segment.dirty, 1, 0);
    segment.probed = table_slot_create(segment.table, nullptr);
    segment.row_count = 0;
    segment.xid = GetTopFullTransactionId();
    segment.command = GetCurrentCommandId(true);
    segment.command_begun = postgres::command_begun();
    segment.type =
        PointerGetDatum(cstring_to_text_with_len(model::kTelemetryIngested.data(), model::kTelemetryIngested.size()));
    segment.stamp = &stamp;
}

void close_segment(Segment& segment) {
    index_endscan(segment.probe);
    ExecDropSingleTupleTableSlot(segment.probed);
    for (int i = 0; i < segment.row_count; ++i) ExecDropSingleTupleTableSlot(segment.rows[i]);
    index_close(segment.xids, NoLock);
    index_close(segment.fingerprints, NoLock);
    table_close(segment.table, NoLock);
}

TupleTableSlot* fill_row(Segment& segment, int index, const Candidate& candidate) {
    while (segment.row_count <= index) segment.rows[segment.row_count++] = table_slot_create(segment.table, nullptr);
    TupleTableSlot* row = segment.rows[index];
    ExecClearTuple(row);
    Datum* value = row->tts_values;
    bool* isnull = row->tts_isnull;
    memset(isnull, 0, sizeof(bool) * kEventColumns);
    const model::Reading& reading = candidate.reading;
    value[kEventId] = Int64GetDatum(candidate.event_id.value);
    value[kXid] = FullTransactionIdGetDatum(segment.xid);
    value[kMeasuredAt] = TimestampTzGetDatum(candidate.measured_at);
    value[kReceivedAt] = TimestampTzGetDatum(segment.stamp->received_at);
    value[kTemperature] = Float8GetDatum(reading.temperature.value_or(0));
    isnull[kTemperature] = !reading.temperature;
    value[kHumidity] = Float8GetDatum(reading.humidity.value_or(0));
    isnull[kHumidity] = !reading.humidity;
    value[kRequestDigest] = Int64GetDatum(candidate.request_digest);
    value[kFingerprint] = fingerprint_datum(candidate);
    isnull[kFingerprint] = !candidate.has_identity;
    value[kEpoch] = Int32GetDatum(segment.stamp->opened.epoch.value);
    value[kVersion] = Int16GetDatum(model::kTelemetryIngestedVersion);
    value[kType] = segment.type;
    value[kDeviceId] = PointerGetDatum(candidate.device_id);
    value[kRegion] = PointerGetDatum(candidate.region);
    isnull[kRegion] = candidate.region == nullptr;
    value[kIdempotencyKey] = PointerGetDatum(candidate.idempotency_key);
    isnull[kIdempotencyKey] = candidate.idempotency_key == nullptr;
    value[kMetrics] = PointerGetDatum(candidate.metrics);
    isnull[kMetrics] = candidate.metrics == nullptr;
    return ExecStoreVirtualTuple(row);
}

bool probe_identity(Segment& segment, Candidate& candidate) {
    if (!candidate.has_identity) return false;
    for (unsigned salt = 0;;) {
        ScanKeyData key;
        ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, fingerprint_datum(candidate));
        index_rescan(segment.probe, &key, 1, nullptr, 0);
        if (!index_getnext_slot(segment.probe, ForwardScanDirection, segment.probed)) return false;
        const TransactionId rival = TransactionIdIsValid(segment.dirty.xmin) ? segment.dirty.xmin : segment.dirty.xmax;
        if (TransactionIdIsValid(rival)) {
            ItemPointerData tid = segment.probed->tts_tid;
            const uint32 token = segment.dirty.speculativeToken;
            const bool is_speculative = TransactionIdIsValid(segment.dirty.xmin) && token != 0;
            ExecClearTuple(segment.probed);
            index_rescan(segment.probe, nullptr, 0, nullptr, 0);  // lets go of the page while we wait
            waits_for_rival = true;
            if (is_speculative)
                SpeculativeInsertionWait(rival, token);
            else
                XactLockTableWait(rival, segment.table, &tid, XLTW_InsertIndex);
            waits_for_rival = false;
            continue;
        }
        const bool found = is_same_identity(segment.probed, candidate);
        if (found) judge(segment, candidate);
        ExecClearTuple(segment.probed);
        if (found) return true;
        next_salt(segment, candidate, ++salt);
    }
}

void accept(const Segment& segment, Candidate& candidate) {
    candidate.outcome = Outcome::kAccepted;
    candidate.received_at = segment.stamp->received_at;
    candidate.epoch = segment.stamp->opened.epoch;
    candidate.xid = model::Xid{U64FromFullTransactionId(segment.xid)};
    candidate.stored_digest = candidate.request_digest;
}

void insert_fingerprint(Segment& segment, const Candidate& candidate) {
    Datum value = fingerprint_datum(candidate);
    bool isnull = !candidate.has_identity;
    ItemPointerData tid = candidate.tid;
    waits_for_rival = true;  // should one have come between probe and insert
    index_insert(segment.fingerprints, &value, &isnull, &tid, segment.table, UNIQUE_CHECK_YES, false,
                 segment.fingerprints_info);
    waits_for_rival = false;
}

void insert_xid(Segment& segment, const Candidate& candidate) {
    Datum values[] = {FullTransactionIdGetDatum(segment.xid), Int64GetDatum(candidate.event_id.value)};
    bool isnull[] = {false, false};
    ItemPointerData tid = candidate.tid;
    index_insert(segment.xids, values, isnull, &tid, segment.table, UNIQUE_CHECK_NO, false, segment.xids_info);
}

void append_one(Segment& segment, Candidate& candidate) {
    while (!probe_identity(segment, candidate)) {
        if (candidate.is_only_looked_up) {
            candidate.outcome = Outcome::kAbsent;
            return;
        }
        TELEMETRY_INJECTION_POINT_IN_P("probed");
        TupleTableSlot* row = fill_row(segment, 0, candidate);
        if (!candidate.has_identity) {
            table_tuple_insert(segment.table, row, segment.command, 0, nullptr);
            candidate.tid = row->tts_tid;
            insert_fingerprint(segment, candidate);
        } else {
            const uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
            table_tuple_insert_speculative(segment.table, row, segment.command, 0, nullptr, token);
            candidate.tid = row->tts_tid;
            Datum value = fingerprint_datum(candidate);
            bool isnull = false;
            const bool is_unique = index_insert(segment.fingerprints, &value, &isnull, &candidate.tid, segment.table,
                                                UNIQUE_CHECK_PARTIAL, false, segment.fingerprints_info);
            table_tuple_complete_speculative(segment.table, row, token, is_unique);
            SpeculativeInsertionLockRelease(GetCurrentTransactionId());
            if (!is_unique) continue;  // a rival came between probe and insert: the next probe meets it
        }
        insert_xid(segment, candidate);
        accept(segment, candidate);
        ExecClearTuple(row);
        return;
    }
}

}  // namespace event_log
