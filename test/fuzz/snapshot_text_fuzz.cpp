// The parser refuses any bytes as the text of a snapshot, or returns a snapshot that is written and read back. Its transactions
// are over or in progress as listed.
#include "model/snapshot_text.hpp"

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto snapshot = model::parse_snapshot(fuzz::as_text(data, size));
    if (!snapshot) return 0;
    fuzz::expect(model::parse_snapshot(model::to_text(*snapshot)) == snapshot);
    for (const auto xid : snapshot->in_progress) fuzz::expect(!snapshot->covers(xid));
    fuzz::expect(!snapshot->covers(snapshot->xmax));
    const auto position = model::position_at(*snapshot);
    const auto window = model::window_between(position, *snapshot);
    fuzz::expect(window.stragglers.empty() && window.first == window.last);
    return 0;
}
