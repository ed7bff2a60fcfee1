// Decides whether the server takes the readings of a call now: the quotas of devices and of the database, and the brake on the
// backlog of the projector.
//
// 1. A call is admitted as a whole or not at all. A call that is refused charges nothing.
//    A statement that brings its readings in portions is one call. The brake is asked once. A bucket that has admitted a
//    portion admits the later ones, and what exceeds the burst is a debt. Otherwise a statement of more readings than the burst
//    would be refused for ever. A device that only a later portion brings can still refuse the statement. Then the portions
//    before it stay charged.
// 2. Each valid reading counts, also a repeat, and one of a device that may not send: the server does the same work for it.
// 3. A transaction that is rolled back later does not give its readings back.
// 4. Without preloading nothing is bounded, because there is no memory that sessions share. The server log says so once in each
//    session.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>

#include "model/gcra.hpp"

namespace ingest {

// The readings of one device in a call.
struct DeviceReadings {
    std::string_view device_id;
    std::uint32_t count;
    std::optional<model::Quota> own_quota;  // of this device; nothing: that of the settings. A rate of 0: no limit
};

// False if no setting limits anything. Then an admission is needed only for devices with a quota of their own.
bool has_limits() noexcept;

// Remembers what was admitted of one statement.
class Admission {
public:
    // `has_portions`: the statement may bring several portions.
    explicit Admission(bool has_portions) noexcept : has_portions_(has_portions) {}

    // Admits a portion, whose devices are distinct. Error(TC105) while the projector is too far behind. Error(TC104) if a
    // device or the database is over its quota; the hint says how long to wait.
    void admit(std::span<const DeviceReadings> devices);

private:
    bool has_portions_;
    bool has_admitted_ = false;
    std::unordered_set<std::uint64_t> charged_;  // keys of the buckets of devices
};

}  // namespace ingest
