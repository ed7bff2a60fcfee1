// Whether this database has the extension, in the version this library belongs to.
#pragma once

#include <string>

namespace worker {

enum class Presence { kAbsent, kMatching, kOtherVersion };

struct Extension {
    Presence presence;
    std::string version;  // as installed; empty if absent
};

// Looks into the catalogue, in a transaction of its own that takes no number and is over when this returns.
Extension look_up_extension();

}  // namespace worker
