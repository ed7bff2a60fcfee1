// The version of the extension to which this library belongs.
#pragma once

namespace runtime {

extern const char* const kLibraryVersion;

// The hint for errors and reports that the installed extension is of another version.
inline constexpr const char* kOtherVersionHint =
    "Run ALTER EXTENSION telemetry_cqrs UPDATE. If the library was replaced since the server started, restart the server "
    "instead.";

}  // namespace runtime
