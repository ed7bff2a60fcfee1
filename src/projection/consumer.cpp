// Joins the registry and the cursors.
#include "projection/consumer.hpp"

namespace projection {

std::vector<Consumer> consumers_of(const std::vector<read_model::Definition>& registry, const feed::Progress& progress) {
    std::vector<Consumer> consumers;
    for (const read_model::Definition& each : registry) {
        consumers.push_back({each.name, &each, progress.cursor_of(each.name)});
        for (const feed::StoredCursor& stored : progress.cursors)
            if (stored.projection == each.name && !stored.cursor.is_current)
                consumers.push_back({each.name + " (rebuild)", &each, stored.cursor});
    }
    return consumers;
}

}  // namespace projection
