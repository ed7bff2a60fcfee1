// What the relay reads from tables and writes to them for one sink: whether it may send, how far the sink has come, and the
// events that come next.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "feed/batch.hpp"
#include "model/event.hpp"
#include "postgres/types.hpp"
#include "runtime/shared_state.hpp"
#include "subscription/commit_ends.hpp"
#include "subscription/share.hpp"

namespace worker {

enum class RelayStanding : std::uint8_t {
    kAbsent,   // the extension is gone
    kWaiting,  // nothing was accepted here yet
    kMaySend,
    kPaused,      // an administrator has paused it
    kNotAdopted,  // the log is a copy
    kLost         // it lagged for too long
};

// What a sink is given of the log. The functions run in the cursor's transaction, as the extension's owner.
class RelayReader {
public:
    virtual std::int64_t most_events() const = 0;

    // It was given as many as that. Does it take as many again?
    virtual bool takes_more() const { return false; }

    // Does it take events before they are in a batch, too?
    virtual bool is_eager() const { return false; }

    // The last batch that may be read.
    virtual model::BatchId at_most() { return feed::kNoBatchLimit; }

    virtual void take(std::span<const model::LoggedEvent* const> events) = 0;

    // Everything up to `end` was taken, as `snapshot` shows it. Returns whether it has made messages of other tables, of which
    // it does not know whether their transactions have waited for the disk.
    virtual bool complete(const subscription::Place& end, ::Snapshot snapshot) = 0;

protected:
    ~RelayReader() = default;
};

struct RelayLook {
    RelayStanding standing = RelayStanding::kAbsent;
    bool has_jumped = false;    // somebody has moved the place, so what was read before is void
    bool has_read = false;      // events, or batches without any that is wanted
    bool has_more = false;      // it has read as much as the reader wanted, and there may be more
    subscription::Place place;  // up to which the sink has everything, as it is stored
    subscription::Place end;    // of what was read
};

class RelayCursor {
public:
    explicit RelayCursor(runtime::RelaySink sink);

    // In a transaction of its own, which ends before it returns:
    // 1. It stores `arrived`, the place up to which the sink has everything, unless somebody has locked the row.
    // 2. It looks whether the relay may send. The rows of the sink are made once a reading was accepted at this place of the
    //    log: before, a restore may be under way. The first message is of the first batch since the server loaded its settings.
    // 3. If it may, and there is a reader, it reads from the end of the last read on.
    // 4. It flushes the server's log, so that what was read is on this server's disk. The row of a batch is, with all that was
    //    committed before. Of the open batch it flushes what the transactions need of which it has read events; most have
    //    waited for the disk. For messages of other tables it flushes all.
    // After an error the caller forgets what it was given.
    RelayLook look(const std::optional<subscription::Place>& arrived, RelayReader* reader);

    // The next look begins at the stored place.
    void forget() noexcept { stored_.reset(); }

private:
    struct Row;
    Row find_row() const;
    bool start();
    void look_at(const Row& row, const std::optional<subscription::Place>& arrived, RelayReader* reader, RelayLook& look);
    void store(const subscription::Place& place);
    void hold(const subscription::Place& end) const;
    void read(RelayReader& reader, RelayLook& look);
    bool read_rest_of_batch(RelayReader& reader, ::Snapshot snapshot, model::BatchId at_most, std::int64_t& most_events);
    bool read_batches(RelayReader& reader, ::Snapshot snapshot, model::BatchId at_most, std::int64_t& most_events);
    bool read_open_batch(RelayReader& reader, ::Snapshot snapshot, std::int64_t& most_events);

    Oid installation_{};  // the extension's, whose log it reads
    std::string sink_;
    std::string subscription_;
    std::int64_t starts_at_ = 0;  // when the settings were loaded, while there are no rows; 0: there are
    std::optional<subscription::Place> stored_;
    subscription::Place read_to_{};

    // How far it has come in the batch after `read_to_`, which may be open. It stays right when the batch is closed or merged.
    // It is not stored: after a crash these events are read again, under the same ids.
    struct Ahead {
        model::Epoch epoch;
        model::Position position;
    };
    std::optional<Ahead> ahead_;

    std::uint64_t flush_to_ = 0;  // up to where the server's log must be on disk after the look
    subscription::CommitEnds commit_ends_;
};

}  // namespace worker
