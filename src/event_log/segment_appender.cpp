// Opens one segment, probes it, and stores rows in it. This file is written wholly in P.
#include "event_log/segment_appender.hpp"

#include "event_log/event_columns.hpp"
#include "event_log/metrics.hpp"
#include "event_log/segment_check.hpp"
#include "event_log/stored_reading.hpp"
#include "model/event.hpp"
#include "postgres/command.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/text.hpp"
#include "reading_index/note.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

Datum fingerprint_datum(const Candidate& candidate) {
    return UUIDPGetDatum(reinterpret_cast<const pg_uuid_t*>(candidate.fingerprint.bytes.data()));
}

bool equals(Datum stored, std::string_view sent) {
    return postgres::view_of(stored) == sent;
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

// Does the row have the candidate's identity? That is type, device and key, or without a key type, device and reading.
bool is_same_identity(const SegmentAppender& appender, const Candidate& candidate) {
    TupleTableSlot* row = appender.probed_row;
    slot_getallattrs(row);
    const Datum* value = row->tts_values;
    const bool* isnull = row->tts_isnull;
    if (!equals(value[kType], appender.stamp->type)) return false;
    if (!equals(value[kDeviceId], candidate.reading.device_id)) return false;
    if (candidate.reading.idempotency_key)
        return !isnull[kIdempotencyKey] && equals(value[kIdempotencyKey], *candidate.reading.idempotency_key);
    if (!isnull[kIdempotencyKey]) return false;
    // The digest is of what was sent.
    if (DatumGetInt64(value[kRequestDigest]) == candidate.request_digest) return true;
    // The policy may have given the stored event the time of receipt. The fingerprint is of the time that was sent.
    const bool is_clamped = DatumGetTimestampTz(value[kMeasuredAt]) == DatumGetTimestampTz(value[kReceivedAt]);
    return (is_clamped || DatumGetTimestampTz(value[kMeasuredAt]) == candidate.reading.measured_at) &&
           equals(value[kTemperature], isnull[kTemperature], candidate.reading.temperature) &&
           equals(value[kHumidity], isnull[kHumidity], candidate.reading.humidity) &&
           same_metrics(value[kMetrics], isnull[kMetrics], candidate.reading.metrics);
}

// Fills in the answer from the event that was stored before. 40001 if the transaction's snapshot cannot show that event.
void judge(SegmentAppender& appender, Candidate& candidate) {
    TupleTableSlot* row = appender.probed_row;
    const HeapTupleHeader header = ExecFetchSlotHeapTuple(row, false, nullptr)->t_data;
    const bool is_mine = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header));
    if (!is_mine && IsolationUsesXactSnapshot() &&
        !table_tuple_satisfies_snapshot(appender.table, row, GetTransactionSnapshot()))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to a concurrent delivery of the same reading"),
                        errdetail("The first delivery committed after this transaction took its snapshot."),
                        errhint("Retry the transaction.")));
    const bool in_this_command = is_mine && HeapTupleHeaderGetCmin(header) >= appender.command_begun;
    candidate.stored_digest = DatumGetInt64(row->tts_values[kRequestDigest]);
    candidate.outcome = candidate.stored_digest != candidate.request_digest ? AppendOutcome::kConflict
                        : in_this_command                                   ? AppendOutcome::kAccepted
                                                                            : AppendOutcome::kDuplicate;
    if (candidate.outcome == AppendOutcome::kConflict) candidate.stored = copied_reading(row);
    candidate.event_id = model::EventId{DatumGetInt64(row->tts_values[kEventId])};
    candidate.received_at = DatumGetTimestampTz(row->tts_values[kReceivedAt]);
    candidate.epoch = model::Epoch{DatumGetInt32(row->tts_values[kEpoch])};
    candidate.xid = model::Xid{U64FromFullTransactionId(DatumGetFullTransactionId(row->tts_values[kXid]))};
}

void next_salt(const SegmentAppender& appender, Candidate& candidate, unsigned salt) {
    const model::Secret& secret = appender.stamp->opened.secret;
    candidate.fingerprint =
        candidate.reading.idempotency_key
            ? model::keyed_fingerprint(secret, candidate.reading.device_id, *candidate.reading.idempotency_key, salt)
            : model::derived_fingerprint(secret, candidate.reading, salt);
}

IndexScanDesc probe_of(SegmentAppender& appender, int index) {
    IndexScanDesc& probe = appender.probes[index];
    if (probe == nullptr)
        probe = postgres::begin_index_scan(appender.table, appender.indexes.fingerprints.indexes[index], &appender.dirty, 1);
    return probe;
}

// A dirty scan keeps a pin on the page of the row that it found. While this session waits, vacuum would wait for the pin.
void let_go(IndexScanDesc probe, ScanKeyData& key) {
    index_rescan(probe, &key, 1, nullptr, 0);
}

void set_fingerprint_key(ScanKeyData& key, const Candidate& candidate) {
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, fingerprint_datum(candidate));
}

bool probe_index(SegmentAppender& appender, int index, Candidate& candidate) {
    IndexScanDesc probe = probe_of(appender, index);
    for (unsigned salt = 0;;) {
        ScanKeyData key;
        set_fingerprint_key(key, candidate);
        index_rescan(probe, &key, 1, nullptr, 0);
        if (!index_getnext_slot(probe, ForwardScanDirection, appender.probed_row)) return false;
        const TransactionId rival = TransactionIdIsValid(appender.dirty.xmin) ? appender.dirty.xmin : appender.dirty.xmax;
        if (TransactionIdIsValid(rival)) {
            ItemPointerData tid = appender.probed_row->tts_tid;
            const uint32 token = appender.dirty.speculativeToken;
            const bool is_speculative = TransactionIdIsValid(appender.dirty.xmin) && token != 0;
            ExecClearTuple(appender.probed_row);
            let_go(probe, key);
            *appender.waits_for_rival = true;
            if (is_speculative)
                SpeculativeInsertionWait(rival, token);
            else
                XactLockTableWait(rival, appender.table, &tid, XLTW_InsertIndex);
            *appender.waits_for_rival = false;
            continue;
        }
        const bool found = is_same_identity(appender, candidate);
        if (found) judge(appender, candidate);
        ExecClearTuple(appender.probed_row);
        let_go(probe, key);
        if (found) return true;
        next_salt(appender, candidate, ++salt);
    }
}

void set_text(TupleTableSlot* row, EventColumn column, const std::optional<std::string_view>& value) {
    row->tts_isnull[column] = !value;
    row->tts_values[column] = value ? postgres::packed_text_datum(*value) : Datum{};
}

// Enters a speculatively inserted row into the indexes on fingerprints. At an index with a rival's entry it stops and returns
// that index's number; -1: there is none. So of two rivals the one that comes first to the first index goes on.
int insert_speculatively(SegmentAppender& appender, const Candidate& candidate) {
    const IndexSet& set = appender.indexes.fingerprints;
    Datum value = fingerprint_datum(candidate);
    bool isnull = false;
    ItemPointerData tid = candidate.tid;
    for (int i = 0; i < set.count; ++i)
        if (!index_insert(set.indexes[i], &value, &isnull, &tid, appender.table, UNIQUE_CHECK_PARTIAL, false, set.infos[i]))
            return i;
    return -1;
}

}  // namespace

void open_appender(SegmentAppender& appender, const runtime::Installed& relations, const Stamp& stamp, bool* waits_for_rival) {
    appender.table = table_open(relations.segment, RowExclusiveLock);
    check_for_append(appender.table);
    open_indexes(appender.indexes, appender.table);
    if (appender.indexes.probed_number < 0) report_no_fingerprint_index(appender.table);
    if (!appender.indexes.has_valid_xids) report_no_xid_index(appender.table);
    InitDirtySnapshot(appender.dirty);
    appender.probes =
        static_cast<IndexScanDesc*>(palloc0(sizeof(IndexScanDesc) * static_cast<Size>(appender.indexes.fingerprints.count)));
    appender.probed_row = table_slot_create(appender.table, nullptr);
    appender.row_count = 0;
    appender.values = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rows", ALLOCSET_DEFAULT_SIZES);
    appender.xid = stamp.is_look_up ? GetTopFullTransactionIdIfAny() : GetTopFullTransactionId();
    appender.command = GetCurrentCommandId(!stamp.is_look_up);
    appender.command_begun = stamp.is_portion ? appender.command : postgres::command_begun();
    appender.event_type = postgres::text_datum(stamp.type);
    appender.stamp = &stamp;
    appender.waits_for_rival = waits_for_rival;
}

void close_appender(SegmentAppender& appender) {
    for (int i = 0; i < appender.indexes.fingerprints.count; ++i)
        if (appender.probes[i] != nullptr) index_endscan(appender.probes[i]);
    ExecDropSingleTupleTableSlot(appender.probed_row);
    for (int i = 0; i < appender.row_count; ++i) ExecDropSingleTupleTableSlot(appender.rows[i]);
    MemoryContextDelete(appender.values);
    close_indexes(appender.indexes);
    table_close(appender.table, NoLock);
}

TupleTableSlot* fill_row(SegmentAppender& appender, int index, const Candidate& candidate) {
    while (appender.row_count <= index) appender.rows[appender.row_count++] = table_slot_create(appender.table, nullptr);
    TupleTableSlot* row = appender.rows[index];
    ExecClearTuple(row);
    Datum* value = row->tts_values;
    bool* isnull = row->tts_isnull;
    memset(isnull, 0, sizeof(bool) * kEventColumns);
    for (int i = kEventColumns; i < row->tts_tupleDescriptor->natts; ++i) isnull[i] = true;  // dropped columns
    const model::Reading& reading = candidate.reading;
    value[kEventId] = Int64GetDatum(candidate.event_id.value);
    value[kXid] = FullTransactionIdGetDatum(appender.xid);
    value[kMeasuredAt] = TimestampTzGetDatum(candidate.measured_at);
    value[kReceivedAt] = TimestampTzGetDatum(appender.stamp->received_at);
    value[kTemperature] = Float8GetDatum(reading.temperature.value_or(0));
    isnull[kTemperature] = !reading.temperature;
    value[kHumidity] = Float8GetDatum(reading.humidity.value_or(0));
    isnull[kHumidity] = !reading.humidity;
    value[kRequestDigest] = Int64GetDatum(candidate.request_digest);
    value[kFingerprint] = fingerprint_datum(candidate);
    isnull[kFingerprint] = !candidate.has_identity;
    value[kEpoch] = Int32GetDatum(appender.stamp->opened.epoch.value);
    value[kVersion] = Int16GetDatum(static_cast<int16>(appender.stamp->version));
    value[kType] = appender.event_type;
    const MemoryContext callers_context = MemoryContextSwitchTo(appender.values);
    value[kDeviceId] = postgres::packed_text_datum(reading.device_id);
    set_text(row, kRegion, candidate.region);
    set_text(row, kIdempotencyKey, reading.idempotency_key);
    const Jsonb* metrics = candidate.metrics;
    if (metrics == nullptr && !reading.metrics.empty()) metrics = jsonb_of(reading.metrics);
    value[kMetrics] = PointerGetDatum(metrics);
    isnull[kMetrics] = metrics == nullptr;
    MemoryContextSwitchTo(callers_context);
    return ExecStoreVirtualTuple(row);
}

void forget_rows(SegmentAppender& appender, int count) {
    for (int i = 0; i < count; ++i) ExecClearTuple(appender.rows[i]);
    MemoryContextReset(appender.values);
}

bool probe_identity(SegmentAppender& appender, Candidate& candidate) {
    return candidate.has_identity && probe_index(appender, appender.indexes.probed_number, candidate);
}

void answer_absent(SegmentAppender& appender, Candidate& candidate) {
    candidate.outcome = AppendOutcome::kAbsent;
    if (!candidate.has_identity || !IsolationIsSerializable()) return;
    // The probe's dirty snapshot leaves no predicate locks. A scan under the transaction's own snapshot leaves them, and meets
    // a rival that has stored the reading since. An inserted row needs no such scan, because its rival meets the index entry.
    Relation index = appender.indexes.fingerprints.indexes[appender.indexes.probed_number];
    IndexScanDesc scan = postgres::begin_index_scan(appender.table, index, GetTransactionSnapshot(), 1);
    ScanKeyData key;
    set_fingerprint_key(key, candidate);
    index_rescan(scan, &key, 1, nullptr, 0);
    while (index_getnext_slot(scan, ForwardScanDirection, appender.probed_row)) continue;
    ExecClearTuple(appender.probed_row);
    index_endscan(scan);
}

void accept(const SegmentAppender& appender, Candidate& candidate) {
    candidate.outcome = AppendOutcome::kAccepted;
    candidate.received_at = appender.stamp->received_at;
    candidate.epoch = appender.stamp->opened.epoch;
    candidate.xid = model::Xid{U64FromFullTransactionId(appender.xid)};
    candidate.stored_digest = candidate.request_digest;
}

void insert_fingerprint(SegmentAppender& appender, const Candidate& candidate) {
    const IndexSet& set = appender.indexes.fingerprints;
    Datum value = fingerprint_datum(candidate);
    bool isnull = !candidate.has_identity;
    ItemPointerData tid = candidate.tid;
    *appender.waits_for_rival = true;  // a rival may have come between probe and insert
    for (int i = 0; i < set.count; ++i)
        index_insert(set.indexes[i], &value, &isnull, &tid, appender.table, UNIQUE_CHECK_YES, false, set.infos[i]);
    *appender.waits_for_rival = false;
}

void insert_xid(SegmentAppender& appender, int number, const Candidate& candidate) {
    const IndexSet& set = appender.indexes.xids;
    Datum values[] = {FullTransactionIdGetDatum(appender.xid), Int64GetDatum(candidate.event_id.value)};
    bool isnull[] = {false, false};
    ItemPointerData tid = candidate.tid;
    index_insert(set.indexes[number], values, isnull, &tid, appender.table,
                 set.infos[number]->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, set.infos[number]);
}

void note_blocks(const SegmentAppender& appender, const Candidate* candidates, std::uint32_t count) {
    const IndexSet& set = appender.indexes.readings;
    for (int i = 0; i < set.count; ++i) {
        Relation index = set.indexes[i];
        CheckForSerializableConflictIn(index, nullptr, InvalidBlockNumber);  // as index_insert does
        const BlockNumber claimed = reading_index::claimed_blocks(index);
        BlockNumber noted = InvalidBlockNumber;
        for (std::uint32_t j = 0; j < count; ++j) {
            if (!ItemPointerIsValid(&candidates[j].tid)) continue;
            const BlockNumber block = ItemPointerGetBlockNumber(&candidates[j].tid);
            if (block >= claimed || block == noted) continue;
            reading_index::note(index, block);
            noted = block;
        }
    }
}

void append_one(SegmentAppender& appender, Candidate& candidate) {
    int asked = appender.indexes.probed_number;
    while (!candidate.has_identity || !probe_index(appender, asked, candidate)) {
        if (asked != appender.indexes.probed_number) {  // the rival is gone
            asked = appender.indexes.probed_number;
            continue;
        }
        if (candidate.is_only_looked_up) {
            answer_absent(appender, candidate);
            return;
        }
        TELEMETRY_INJECTION_POINT_IN_P("probed");
        TupleTableSlot* row = fill_row(appender, 0, candidate);
        if (!candidate.has_identity) {
            table_tuple_insert(appender.table, row, appender.command, 0, nullptr);
            candidate.tid = row->tts_tid;
            insert_fingerprint(appender, candidate);
        } else {
            const uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
            table_tuple_insert_speculative(appender.table, row, appender.command, 0, nullptr, token);
            candidate.tid = row->tts_tid;
            const int taken = insert_speculatively(appender, candidate);
            table_tuple_complete_speculative(appender.table, row, token, taken < 0);
            SpeculativeInsertionLockRelease(GetCurrentTransactionId());
            if (taken >= 0) {  // a rival came between probe and insert, and a probe of that index meets it
                forget_rows(appender, 1);
                asked = taken;
                continue;
            }
        }
        for (int i = 0; i < appender.indexes.xids.count; ++i) insert_xid(appender, i, candidate);
        insert_further(appender.indexes, row);
        TELEMETRY_INJECTION_POINT_IN_P("rows_placed");
        note_blocks(appender, &candidate, 1);
        accept(appender, candidate);
        forget_rows(appender, 1);
        return;
    }
}

}  // namespace event_log
