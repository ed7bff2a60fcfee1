// The version comes from the control file by way of the Makefile; SQL function library_version tells it.
#include "runtime/library_version.hpp"

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"

namespace runtime {
namespace {

// So that the file itself can be asked (strings telemetry_cqrs.so), and a test can make an older library of it.
constexpr char kMark[] = "telemetry_cqrs library version " TELEMETRY_VERSION;

}  // namespace

const char* const kLibraryVersion = kMark + sizeof kMark - sizeof TELEMETRY_VERSION;

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_get_library_version) {
    return postgres::guarded([] { return postgres::text_datum(runtime::kLibraryVersion); });
}
