// An intake is one statement of a client on its way in. It counts the statement's readings for telemetry.stat_ingest, keeps the
// refused ones in the quarantine, and keeps account of the verdicts.
//
// A statement brings its readings in one portion or in several. The account lies in telemetry.batch_verdict as soon as one
// reading is not simply accepted, or there is a second portion. Otherwise the token alone tells which events the statement
// stored.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ingest/admission.hpp"
#include "ingest/verdicts.hpp"
#include "postgres/error.hpp"
#include "postgres/types.hpp"
#include "runtime/statistics.hpp"

namespace ingest {

// Through which door a statement came: the column `source` of the quarantine. A redrive brings readings that are in the
// quarantine already, so it keeps neither an account nor another row of them.
enum class Source { kReading, kArrays, kJson, kInbox, kRedrive };
const char* name_of(Source source) noexcept;

// What a statement has brought so far.
struct IntakeTotals {
    std::uint64_t received = 0, accepted = 0, duplicates = 0, conflicts = 0, rejected = 0;
    std::int64_t first_event_id = 0, last_event_id = 0;  // of the accepted readings; 0: there are none
    model::Epoch epoch;
    model::Xid xid;
    model::Micros received_at = 0;  // of the last portion
};

class Intake {
public:
    // The current role is the sender. So the intake begins before the door switches to the owner.
    Intake(Source source, OnError on_error);

    // Runs a part of the statement, and counts it whether it succeeds or throws. The first part counts as a command.
    template <typename Body>
    auto counted(Body body) {
        begin_part();
        try {
            const auto result = body();
            end_part();
            return result;
        } catch (...) {
            count_error(postgres::describe_current_exception().sqlstate);
            throw;
        }
    }

    void set_on_error(OnError on_error) noexcept { on_error_ = on_error; }

    // Decides a portion, inside `counted`. A part has one portion.
    Verdicts take(std::span<const Request> requests);

    const IntakeTotals& totals() const noexcept { return totals_; }

    // Names the statement for wait_for() and batch_verdicts().
    std::string token() const;

private:
    bool is_batch() const noexcept { return source_ != Source::kReading; }
    void begin_part();
    void end_part() noexcept;
    void count_error(int sqlstate) const noexcept;
    void add(const Verdicts& verdicts);
    void keep_account(const Verdicts& verdicts, std::uint64_t first_index);

    Source source_;
    OnError on_error_;
    Admission admission_;
    Oid sender_;
    bool is_begun_ = false;
    Progress progress_;  // of the part that runs
    runtime::ReadingCounts counts_;
    IntakeTotals totals_;
    std::string account_key_;  // empty: there is no account in the table
};

}  // namespace ingest
