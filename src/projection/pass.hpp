// The options and the result of a pass.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/steady_time.hpp"

namespace projection {

enum class PassOutcome : std::uint8_t {
    kIdle,     // the pass found nothing to do
    kApplied,  // the pass has written something
    kAbsent,   // the extension is not, or no longer, in this database
    kUnopened  // no reading was accepted at this place yet, as after an installation or a restore; the pass wrote nothing
};

// The consumer of the log that is no projection: the list of batches.
inline constexpr std::string_view kBatches = "batch";

// A consumer that failed while the others went on: a projection or kBatches.
struct ConsumerFailure {
    std::string consumer;
    std::exception_ptr cause;
    bool parks = false;  // a later pass puts aside the events on which it fails, so it is served on
};

struct Pass {
    PassOutcome outcome = PassOutcome::kIdle;
    std::int64_t events = 0;                 // of the log that the pass read
    bool has_more = false;                   // another pass would at once find something to do
    bool has_open_batch = false;             // events are read and in no batch yet
    bool has_replaced = false;               // a rebuild has replaced what readers see
    runtime::SteadyTime due_at = 0;          // when a lazy projection will have something to do; 0: not for now
    std::vector<std::string> succeeded;      // these wrote what the pass read for them
    std::vector<ConsumerFailure> failures;   // these did not
    std::vector<std::string> notifications;  // to send after the commit
};

// A pass reads at most so many slices of the log. Then one row of a state table takes the readings of all of them.
inline constexpr std::int64_t kMostSlices = 10;

struct PassOptions {
    bool serves_lazy = false;     // lazy projections are served at once
    bool with_batches = true;     // false: the events that the pass reads stay in the open batch
    std::int64_t slice = 100000;  // a batch has at most so many events
    // Milliseconds to wait for a table; 0: as the session has set it. The default is below deadlock_timeout: the pass gives up
    // first, and a session that changes a table of the extension goes on.
    int lock_timeout = 500;
};

}  // namespace projection
