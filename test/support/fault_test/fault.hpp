// The two libraries share this: which request is to fail. Plain data of one process, inherited by fork.
#pragma once

struct Fault {
    enum Kind { kNone, kPalloc, kNew, kSql, kCancel };
    Kind kind;                   // what is counted; kNone: nothing
    long at;                     // which of them fails
    long seen;                   // how many there were
    bool fired;                  // it did; nothing is counted any more
    int depth;                   // > 0 while code of the library under test runs
    void (*refresh)(Kind kind);  // called before each count, if set
};

// Symbols are hidden from other libraries unless they say so, from PostgreSQL 16 on.
#define SEEN_BY_OTHER_LIBRARIES __attribute__((visibility("default")))

extern "C" SEEN_BY_OTHER_LIBRARIES Fault fault;

// Counts one; true if it is the one that fails.
inline bool fails(Fault::Kind kind) {
    if (fault.refresh != nullptr) fault.refresh(kind);
    if (fault.depth == 0 || fault.kind != kind || fault.fired) return false;
    if (++fault.seen != fault.at) return false;
    return fault.fired = true;
}
