// Which version of the extension this library belongs to.
#pragma once

namespace runtime {

extern const char* const kLibraryVersion;

// What to do where the extension is of another version.
inline constexpr const char* kOtherVersionHint =
    "Run ALTER EXTENSION telemetry_cqrs UPDATE. If the library was replaced since the server started, restart the server "
    "instead.";

}  // namespace runtime
