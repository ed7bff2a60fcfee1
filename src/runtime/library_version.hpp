// Which version of the extension this library belongs to.
#pragma once

namespace runtime {

extern const char* const kLibraryVersion;

}  // namespace runtime
