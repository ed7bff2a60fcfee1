// Joins the registry and the cursors.
#include "projection/consumer.hpp"

#include <algorithm>

namespace projection {
namespace {

const char* suffix_of(feed::Cursor::Purpose purpose) {
    switch (purpose) {
        case feed::Cursor::Purpose::kRebuild:
            return " (rebuild)";
        case feed::Cursor::Purpose::kBaseline:
            return " (baseline)";
        case feed::Cursor::Purpose::kAudit:
            return " (audit)";
        case feed::Cursor::Purpose::kCurrent:
            break;
    }
    return "";
}

}  // namespace

std::vector<Consumer> consumers_of(const std::vector<read_model::Definition>& registry, const feed::Progress& progress) {
    std::vector<Consumer> consumers;
    for (const read_model::Definition& each : registry) {
        consumers.push_back({each.name, &each, progress.cursor_of(each.name)});
        const bool is_copying = std::any_of(progress.cursors.begin(), progress.cursors.end(), [&each](const auto& stored) {
            return stored.projection == each.name && !stored.cursor.is_copied;
        });
        for (const feed::StoredCursor& stored : progress.cursors)
            if (stored.projection == each.name && !stored.cursor.is_current())
                consumers.push_back({each.name + suffix_of(stored.cursor.purpose), &each, stored.cursor,
                                     is_copying && stored.cursor.purpose == feed::Cursor::Purpose::kBaseline});
    }
    return consumers;
}

}  // namespace projection
