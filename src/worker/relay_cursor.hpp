// What the relay reads from tables and writes to them for one sink: whether it may send, how far the sink has come, and the
// events that come next.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "model/event.hpp"
#include "runtime/shared_state.hpp"
#include "subscription/share.hpp"
#include "subscription/share_reader.hpp"

namespace worker {

enum class RelayStanding : std::uint8_t {
    kAbsent,  // the extension is gone
    kMaySend,
    kPaused,      // an administrator has paused it
    kNotAdopted,  // the log is a copy
    kLost         // it lagged for too long
};

struct RelayLook {
    RelayStanding standing = RelayStanding::kAbsent;
    bool has_jumped = false;  // somebody has moved the place, so what was read before is void
    bool has_read = false;
    subscription::Place end;  // of what was read
    std::int64_t events = 0;  // that were read
};

class RelayCursor {
public:
    explicit RelayCursor(runtime::RelaySink sink);

    // In a transaction of its own, which ends before it returns:
    // 1. It stores `arrived`, the place up to which the sink has everything.
    // 2. It looks whether the relay may send. The first look makes the rows of the sink.
    // 3. If it may, and `take` is there, it reads at most so many events, from the end of the last read on. All of them are of
    //    batches, so the log that they stand in is on this server's disk.
    RelayLook look(const std::optional<subscription::Place>& arrived, std::int64_t most_events, const subscription::Take& take);

private:
    struct Row;
    Row find_row() const;
    void start() const;
    void store(const subscription::Place& place);
    void hold(const subscription::Place& end) const;

    std::string sink_;
    std::string subscription_;
    std::optional<subscription::Place> stored_;
    subscription::Place read_to_{};
};

}  // namespace worker
