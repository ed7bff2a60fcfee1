// The version comes from the control file by way of the Makefile; SQL function library_version tells it.
#include "runtime/library_version.hpp"

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace runtime {

const char* const kLibraryVersion = TELEMETRY_VERSION;

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_get_library_version) {
    return postgres::guarded([] { return CStringGetTextDatum(runtime::kLibraryVersion); });
}
