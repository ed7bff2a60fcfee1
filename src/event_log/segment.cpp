// Appending to one segment: opening, probing, storing. This file is written wholly in P.
#include "event_log/segment.hpp"

#include "event_log/event_columns.hpp"
#include "event_log/metrics.hpp"
#include "event_log/segment_check.hpp"
#include "model/event.hpp"
#include "postgres/command.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/text.hpp"

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

IndexScanDesc probe_of(Segment& segment, int index) {
    IndexScanDesc& probe = segment.probes[index];
    if (probe == nullptr)
        probe = postgres::begin_index_scan(segment.table, segment.indexes.fingerprints.indexes[index], &segment.dirty, 1);
    return probe;
}

// A dirty scan keeps what it found pinned, and vacuum would wait for whatever this session waits for.
void let_go(IndexScanDesc probe, ScanKeyData& key) {
    index_rescan(probe, &key, 1, nullptr, 0);
}

void set_fingerprint_key(ScanKeyData& key, const Candidate& candidate) {
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, fingerprint_datum(candidate));
}

bool probe_index(Segment& segment, int index, Candidate& candidate) {
    IndexScanDesc probe = probe_of(segment, index);
    for (unsigned salt = 0;;) {
        ScanKeyData key;
        set_fingerprint_key(key, candidate);
        index_rescan(probe, &key, 1, nullptr, 0);
        if (!index_getnext_slot(probe, ForwardScanDirection, segment.probed)) return false;
        const TransactionId rival = TransactionIdIsValid(segment.dirty.xmin) ? segment.dirty.xmin : segment.dirty.xmax;
        if (TransactionIdIsValid(rival)) {
            ItemPointerData tid = segment.probed->tts_tid;
            const uint32 token = segment.dirty.speculativeToken;
            const bool is_speculative = TransactionIdIsValid(segment.dirty.xmin) && token != 0;
            ExecClearTuple(segment.probed);
            let_go(probe, key);
            *segment.waits_for_rival = true;
            if (is_speculative)
                SpeculativeInsertionWait(rival, token);
            else
                XactLockTableWait(rival, segment.table, &tid, XLTW_InsertIndex);
            *segment.waits_for_rival = false;
            continue;
        }
        const bool found = is_same_identity(segment.probed, candidate);
        if (found) judge(segment, candidate);
        ExecClearTuple(segment.probed);
        let_go(probe, key);
        if (found) return true;
        next_salt(segment, candidate, ++salt);
    }
}

// Enters a row that is inserted speculatively into the indexes on fingerprints. Gives the number of the one that holds a
// rival's entry, and enters the row into no further one: of two rivals the one that came first to the first index goes on. -1:
// none.
int insert_speculatively(Segment& segment, const Candidate& candidate) {
    const IndexSet& set = segment.indexes.fingerprints;
    Datum value = fingerprint_datum(candidate);
    bool isnull = false;
    ItemPointerData tid = candidate.tid;
    for (int i = 0; i < set.count; ++i)
        if (!index_insert(set.indexes[i], &value, &isnull, &tid, segment.table, UNIQUE_CHECK_PARTIAL, false, set.infos[i]))
            return i;
    return -1;
}

}  // namespace

void open_segment(Segment& segment, const runtime::Installed& relations, const Stamp& stamp, bool* waits_for_rival) {
    segment.table = table_open(relations.segment, RowExclusiveLock);
    check_for_append(segment.table);
    open_indexes(segment.indexes, segment.table);
    if (segment.indexes.probed < 0) report_no_fingerprint_index(segment.table);
    if (!segment.indexes.has_valid_xids) report_no_xid_index(segment.table);
    InitDirtySnapshot(segment.dirty);
    segment.probes =
        static_cast<IndexScanDesc*>(palloc0(sizeof(IndexScanDesc) * static_cast<Size>(segment.indexes.fingerprints.count)));
    segment.probed = table_slot_create(segment.table, nullptr);
    segment.row_count = 0;
    segment.xid = GetTopFullTransactionId();
    segment.command = GetCurrentCommandId(true);
    segment.command_begun = postgres::command_begun();
    segment.type = postgres::text_datum(model::kTelemetryIngested);
    segment.stamp = &stamp;
    segment.waits_for_rival = waits_for_rival;
}

void close_segment(Segment& segment) {
    for (int i = 0; i < segment.indexes.fingerprints.count; ++i)
        if (segment.probes[i] != nullptr) index_endscan(segment.probes[i]);
    ExecDropSingleTupleTableSlot(segment.probed);
    for (int i = 0; i < segment.row_count; ++i) ExecDropSingleTupleTableSlot(segment.rows[i]);
    close_indexes(segment.indexes);
    table_close(segment.table, NoLock);
}

TupleTableSlot* fill_row(Segment& segment, int index, const Candidate& candidate) {
    while (segment.row_count <= index) segment.rows[segment.row_count++] = table_slot_create(segment.table, nullptr);
    TupleTableSlot* row = segment.rows[index];
    ExecClearTuple(row);
    Datum* value = row->tts_values;
    bool* isnull = row->tts_isnull;
    memset(isnull, 0, sizeof(bool) * kEventColumns);
    for (int i = kEventColumns; i < row->tts_tupleDescriptor->natts; ++i) isnull[i] = true;  // dropped columns
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
    return candidate.has_identity && probe_index(segment, segment.indexes.probed, candidate);
}

void answer_absent(Segment& segment, Candidate& candidate) {
    candidate.outcome = Outcome::kAbsent;
    if (!candidate.has_identity || !IsolationIsSerializable()) return;
    // The probe's dirty snapshot leaves no predicate locks. With the transaction's own the look does, and it meets a rival that
    // has stored the reading since. A row that is inserted needs none: its rival meets the index entry.
    Relation index = segment.indexes.fingerprints.indexes[segment.indexes.probed];
    IndexScanDesc scan = postgres::begin_index_scan(segment.table, index, GetTransactionSnapshot(), 1);
    ScanKeyData key;
    set_fingerprint_key(key, candidate);
    index_rescan(scan, &key, 1, nullptr, 0);
    while (index_getnext_slot(scan, ForwardScanDirection, segment.probed)) continue;
    ExecClearTuple(segment.probed);
    index_endscan(scan);
}

void accept(const Segment& segment, Candidate& candidate) {
    candidate.outcome = Outcome::kAccepted;
    candidate.received_at = segment.stamp->received_at;
    candidate.epoch = segment.stamp->opened.epoch;
    candidate.xid = model::Xid{U64FromFullTransactionId(segment.xid)};
    candidate.stored_digest = candidate.request_digest;
}

void insert_fingerprint(Segment& segment, const Candidate& candidate) {
    const IndexSet& set = segment.indexes.fingerprints;
    Datum value = fingerprint_datum(candidate);
    bool isnull = !candidate.has_identity;
    ItemPointerData tid = candidate.tid;
    *segment.waits_for_rival = true;  // should one have come between probe and insert
    for (int i = 0; i < set.count; ++i)
        index_insert(set.indexes[i], &value, &isnull, &tid, segment.table, UNIQUE_CHECK_YES, false, set.infos[i]);
    *segment.waits_for_rival = false;
}

void insert_xid(Segment& segment, const Candidate& candidate) {
    const IndexSet& set = segment.indexes.xids;
    Datum values[] = {FullTransactionIdGetDatum(segment.xid), Int64GetDatum(candidate.event_id.value)};
    bool isnull[] = {false, false};
    ItemPointerData tid = candidate.tid;
    for (int i = 0; i < set.count; ++i)
        index_insert(set.indexes[i], values, isnull, &tid, segment.table,
                     set.infos[i]->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, set.infos[i]);
}

void append_one(Segment& segment, Candidate& candidate) {
    int asked = segment.indexes.probed;
    while (!candidate.has_identity || !probe_index(segment, asked, candidate)) {
        if (asked != segment.indexes.probed) {  // the rival is gone
            asked = segment.indexes.probed;
            continue;
        }
        if (candidate.is_only_looked_up) {
            answer_absent(segment, candidate);
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
            const int taken = insert_speculatively(segment, candidate);
            table_tuple_complete_speculative(segment.table, row, token, taken < 0);
            SpeculativeInsertionLockRelease(GetCurrentTransactionId());
            if (taken >= 0) {  // a rival came between probe and insert: a probe of that index meets it
                asked = taken;
                continue;
            }
        }
        insert_xid(segment, candidate);
        insert_further(segment.indexes, row);
        accept(segment, candidate);
        ExecClearTuple(row);
        return;
    }
}

}  // namespace event_log
