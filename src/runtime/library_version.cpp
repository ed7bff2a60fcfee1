// SQL function library_version: tells the version of this library. The Makefile takes it from the control file.
#include "runtime/library_version.hpp"

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"

namespace runtime {
namespace {

// The mark shows the version of a library file (strings telemetry_cqrs.so). A test overwrites it to make an older library.
constexpr char kMark[] = "telemetry_cqrs library version " TELEMETRY_VERSION;

}  // namespace

const char* const kLibraryVersion = kMark + sizeof kMark - sizeof TELEMETRY_VERSION;

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_get_library_version) {
    return postgres::guarded([] { return postgres::text_datum(runtime::kLibraryVersion); });
}
