// Stores the events device.offline and device.online. README.md in this folder says when a device is offline, and why each
// change is told once.
#pragma once

#include "model/identifiers.hpp"

namespace liveness {

// Tells some of the changes that have not been told, in the caller's transaction. The caller acts as the extension's owner,
// holds the apply lock, and moves no position in the log. The server has received readings without a break since
// `watching_since`, and no silence counts from before. True: more changes may be left. TC202, TC204: an object on a table is in
// the way.
bool tell_some_changes(model::Micros watching_since);

}  // namespace liveness
