// The file holds one record, and one system call reads or writes it.
#include "runtime/start_record.hpp"

#include <type_traits>

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

constexpr TimestampTz kLogInterval = 60 * USECS_PER_SEC;

static_assert(std::is_trivially_copyable_v<StartRecord>);

struct Path {
    char text[64];
};

Path path_of_record() noexcept {
    Path path;
    snprintf(path.text, sizeof path.text, "%s/telemetry_cqrs.%u", PG_STAT_TMP_DIR, MyDatabaseId);
    return path;
}

}  // namespace

StartRecord read_start_record() noexcept {
    StartRecord record{};
    const int file = BasicOpenFile(path_of_record().text, O_RDONLY | PG_BINARY);
    if (file < 0) return record;
    const bool is_whole = read(file, &record, sizeof record) == static_cast<ssize_t>(sizeof record);
    close(file);
    if (!is_whole) return StartRecord{};
    record.reason[sizeof record.reason - 1] = '\0';
    return record;
}

// Overwrites the old record and does not empty the file first, so that a reader always finds a whole record.
void write_start_record(const StartRecord& record) noexcept {
    const int file = BasicOpenFile(path_of_record().text, O_WRONLY | O_CREAT | PG_BINARY);
    if (file < 0) return;
    (void)!write(file, &record, sizeof record);
    close(file);
}

void remove_start_record() noexcept {
    unlink(path_of_record().text);
}

bool note_failure(StartRecord& record, const char* reason) noexcept {
    const TimestampTz now = GetCurrentTimestamp();
    record.failed_at = now;
    postgres::copy_cut(record.reason, reason);
    const bool is_quiet = record.logged_at != 0 && record.logged_at <= now && now - record.logged_at < kLogInterval;
    if (!is_quiet) record.logged_at = now;
    return !is_quiet;
}

}  // namespace runtime
