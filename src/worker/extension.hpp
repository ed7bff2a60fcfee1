// The extension as a worker finds it: absent, or of this library's version, or of another one.
#pragma once

#include <string>

namespace worker {

enum class ExtensionState { kAbsent, kMatching, kOtherVersion };

struct Extension {
    ExtensionState state;
    std::string version;  // as installed; empty if absent
};

// Looks into the catalogue, in a transaction of its own. The transaction gets no number and ends before this returns.
Extension look_up_extension();

}  // namespace worker
