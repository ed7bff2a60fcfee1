// Reads the extension's row of pg_extension.
#include "worker/extension.hpp"

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "runtime/library_version.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

struct ExtensionRow {
    bool is_found;
    postgres::FoundExtension extension;
};

// P.
ExtensionRow read_row() {
    ExtensionRow row{};
    (void)GetTransactionSnapshot();
    row.is_found = postgres::find_extension(row.extension);
    return row;
}

}  // namespace

Extension look_up_extension() {
    postgres::Transaction transaction;
    const ExtensionRow row = postgres::guarded(read_row);
    transaction.commit();
    if (!row.is_found) return {ExtensionState::kAbsent, {}};
    const std::string version = row.extension.version;
    return {version == runtime::kLibraryVersion ? ExtensionState::kMatching : ExtensionState::kOtherVersion, version};
}

}  // namespace worker
