// Reads the events of a window, block by block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "event_log/window_scan.hpp"
#include "model/event.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/memory.hpp"
#include "postgres/types.hpp"

namespace event_log {

// The plan of a window's scan, with the arrays that a ScanPlan points into.
class OwnedScanPlan {
public:
    OwnedScanPlan(const model::Window& window, model::Epoch epoch);
    OwnedScanPlan(const OwnedScanPlan&) = delete;
    OwnedScanPlan& operator=(const OwnedScanPlan&) = delete;
    const ScanPlan& view() const noexcept { return plan_; }

private:
    std::vector<ScanStep> steps_;
    std::vector<std::uint64_t> skipped_;
    ScanPlan plan_;
};

// What a reader of a window gives out.
enum class Wanted : std::uint8_t { kReadings, kEvents, kLoggedEvents };

// The result of one `read`. The views and metrics in it live until the next `read`.
struct Block {
    std::span<const model::Event> given;         // readings, or events of all types, if these are wanted
    std::span<const model::LoggedEvent> logged;  // of all types, if these are wanted
    std::int64_t events = 0;                     // of the window, of any type
    std::int64_t rows = 0;                       // read for them; rows of other epochs count
};

// Reads under `snapshot`, which outlives the reader. If anything fails, the caller aborts its (sub)transaction. Statistics are
// those of readings, so this class leaves out events of other types for everybody who folds.
class WindowReader {
public:
    WindowReader(const model::Window& window, model::Epoch epoch, ::Snapshot snapshot, Wanted wanted = Wanted::kReadings);
    WindowReader(const WindowReader&) = delete;
    WindowReader& operator=(const WindowReader&) = delete;

    // Reads the next rows, at most `rows` of them and at most a block. No rows: the window is read to its end.
    Block read(std::int64_t rows);

    bool at_end() const noexcept { return scan_.current == nullptr; }
    std::optional<model::Partial> last_row() const noexcept { return last_row_; }

    // Has the last row's transaction no further row? If it has one, a slice that ends here cuts the transaction.
    bool is_at_transaction_end() const noexcept;

    // Releases the segments. The destructor does not, because after an error the abort does.
    void close();

private:
    static constexpr int kBlockRows = 1024;
    static constexpr int kLoggedBlockRows =
        128;  // few, because their texts are rendered while they are in the processor's cache

    Wanted wanted_;
    OwnedScanPlan plan_;
    postgres::ScopedMemory scan_memory_;
    postgres::ScopedMemory block_memory_;
    WindowScan scan_{};
    model::Event* events_ = nullptr;
    model::LoggedEvent* logged_ = nullptr;  // one of the two is null
    std::optional<model::Partial> last_row_;
};

}  // namespace event_log
