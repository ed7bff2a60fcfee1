// Starts the library: lists, in layer order, the steps that the server takes when it loads the library.
#include "postgres/entry_point.hpp"
#include "postgres/server_versions.hpp"
#include "runtime/backlog.hpp"
#include "runtime/inbox_guard.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/statement_guard.hpp"
#include "runtime/statistics.hpp"
#include "runtime/wake.hpp"
#include "worker/launcher.hpp"

extern "C" {
TELEMETRY_MODULE_MAGIC("telemetry_cqrs", TELEMETRY_VERSION);
PGDLLEXPORT void _PG_init(void);  // NOLINT(bugprone-reserved-identifier, readability-identifier-naming): the server's name
}

void _PG_init(void) {
    postgres::entry_point([] {
        runtime::define_settings();
        runtime::watch_commits();
        runtime::guard_statements();
        runtime::guard_inboxes();
        if (!process_shared_preload_libraries_in_progress) return;
        runtime::request_shared_state();
        runtime::watch_ends_of_transactions();
        runtime::watch_passes();
        worker::register_launcher();
    });
}
