// Columns of telemetry.epoch, in the order of the install script, counted from 0.
#pragma once

namespace event_log {

enum EpochColumn {
    kEpochNumber,
    kSystemIdentifier,
    kDatabaseOid,
    kLogOid,
    kTimeline,
    kOpenedXid,
    kOpenedAt,
    kEpochColumns  // of version 1.0; read_first_xid finds first_xid, which comes after them
};

}  // namespace event_log
