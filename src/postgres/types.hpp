// Declares names of the server's types, for headers that only pass values on. The declarations equal the server's, so that both
// may stand in one file. A file that looks into such a value, or that calls the server, includes pg.hpp.
#pragma once

#include <cstdint>

using Datum = uintptr_t;
using Oid = unsigned int;
using TimestampTz = std::int64_t;
using TimeLineID = std::uint32_t;

using text = struct varlena;   // NOLINT(readability-identifier-naming): the server's name
using bytea = struct varlena;  // NOLINT(readability-identifier-naming): the server's name
using Numeric = struct NumericData*;

using Relation = struct RelationData*;
using Snapshot = struct SnapshotData*;
using TupleDesc = struct TupleDescData*;
using MemoryContext = struct MemoryContextData*;
using FunctionCallInfo = struct FunctionCallInfoBaseData*;

struct BackgroundWorkerHandle;
struct FullTransactionId;
struct ReturnSetInfo;
struct TupleTableSlot;
