// Knows where the last record ends.
#include "postgres/wal.hpp"

#include "postgres/pg.hpp"

namespace postgres {

// The place where the next record goes is behind a page's header if the last record fills its page. Nothing has been logged
// there, and the server cannot flush up to there.
std::uint64_t end_of_log() {
    XLogRecPtr end = GetXLogInsertRecPtr();
    const auto in_page = static_cast<Size>(end % XLOG_BLCKSZ);
    const bool is_first_page = XLogSegmentOffset(end, wal_segment_size) == in_page;  // of a file; it has a longer header
    if (in_page == (is_first_page ? SizeOfXLogLongPHD : SizeOfXLogShortPHD)) end -= in_page;
    return end;
}

void flush_log(std::uint64_t end) {
    XLogFlush(end);
}

}  // namespace postgres
