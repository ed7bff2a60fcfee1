// Every SQLSTATE of our own. They form one class (TC), and the groups are those of the README, whose table names each of them.
#pragma once

// Packs a five-character SQLSTATE as the server does (six bits a character, first character lowest).
constexpr int pack_sqlstate(const char (&code)[6]) {
    int packed = 0;
    for (int i = 0; i < 5; ++i) packed |= ((code[i] - '0') & 0x3F) << (6 * i);
    return packed;
}

namespace error_codes {

// TC0xx: the reading or the call is refused as it stands. Sending it again unchanged gives the same answer.
constexpr int kInvalidDeviceId = pack_sqlstate("TC001");  // empty, too long, with invisible characters or a space at an end
constexpr int kUnknownDevice = pack_sqlstate("TC002");    // not registered: auto_register is off, or a trigger kept it out
constexpr int kNotFinite = pack_sqlstate("TC003");        // NaN or infinity in a value
constexpr int kMeasuredAtOutOfRange = pack_sqlstate("TC004");  // before 1970 or too far ahead of the server's clock
constexpr int kInvalidKey = pack_sqlstate("TC005");            // idempotency key empty, too long or with invisible characters
constexpr int kInvalidMetrics =
    pack_sqlstate("TC006");  // not an object of numbers, a bad name, too many, too large or near zero
constexpr int kInvalidRegion = pack_sqlstate("TC007");  // empty, too long, with invisible characters or a space at an end
constexpr int kRetiredDevice = pack_sqlstate("TC008");  // the registry says the device is retired
constexpr int kConflict = pack_sqlstate("TC009");       // the idempotency key is taken by another request
constexpr int kInvalidBatch =
    pack_sqlstate("TC010");  // arrays of different length or shape, unknown option, a JSON text that is no list of items
constexpr int kBatchTooLarge = pack_sqlstate("TC011");  // more readings in one call than max_batch_readings
constexpr int kInvalidJson =
    pack_sqlstate("TC012");  // no JSON, no object, an unknown or repeated field, a value of another type
constexpr int kOutOfLimits = pack_sqlstate("TC013");  // a value beyond the limits of its metric (telemetry.set_metric)

// TC1xx: the client tries again later, unchanged.
constexpr int kInProgress = pack_sqlstate("TC101");      // another session holds this idempotency key in an open transaction
constexpr int kOwnTransaction = pack_sqlstate("TC102");  // wait_for() of the transaction in progress: commit it first
constexpr int kStale = pack_sqlstate("TC103");           // a read model is older than max_staleness allows
constexpr int kOverQuota = pack_sqlstate("TC104");       // a device or the database sends more than its quota
constexpr int kBackpressure = pack_sqlstate("TC105");    // the projector is further behind than max_backlog

// TC2xx: the event log and the tables protect themselves.
constexpr int kLogIsInsertOnly = pack_sqlstate("TC201");  // UPDATE, DELETE or TRUNCATE of the event log
constexpr int kLogWasAltered =
    pack_sqlstate("TC202");  // a trigger, constraint, column or index that native writes or reads cannot cope with
constexpr int kBatchNotFound = pack_sqlstate("TC203");  // no such batch, or retention has passed it
constexpr int kTableCarriesObstacle =
    pack_sqlstate("TC204");  // a table of ours carries what native writes would bypass, or a deferred trigger

constexpr int kSubscriptionLost = pack_sqlstate("TC205");  // a subscription can no longer give every event
constexpr int kLeaseNotHeld = pack_sqlstate("TC206");      // it was answered, or it ended and another consumer has its events

// TC3xx: the installation.
constexpr int kNotInstalled = pack_sqlstate("TC301");    // library and extension, or log, do not belong together
constexpr int kCorruptSummary = pack_sqlstate("TC302");  // text or bytes are not a telemetry.summary of a known version

// TC9xx: tests.
constexpr int kInjected = pack_sqlstate("TC999");  // a debug build was told to fail here

}  // namespace error_codes
