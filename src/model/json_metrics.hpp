// Gathers the metrics of a reading that JSON has in any order.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "model/reading.hpp"

namespace model {

// The names are views, which the caller keeps.
class JsonMetrics {
public:
    JsonMetrics();

    void clear() noexcept;

    // Counts one more member. False: there are more than kMostMetrics, so it need not be added; the reading is refused.
    bool begin() noexcept;
    std::size_t member_count() const noexcept { return member_count_; }  // with those that are null

    void add(std::string_view name, double value) { add({name, value, false}); }
    void add_null(std::string_view name) { add({name, 0, true}); }

    // Sorts the metrics in jsonb's order. Returns a name that is there twice.
    std::optional<std::string_view> sort();

    // The metrics that are not null. The memory is never given back.
    std::span<const Metric> copy_to(std::pmr::memory_resource& memory) const;

private:
    struct Member {
        std::string_view name;
        double value;
        bool is_null;
    };

    static bool is_before(const Member& a, const Member& b) noexcept;
    void add(const Member& member);

    std::vector<Member> members_;
    std::size_t member_count_ = 0;
};

}  // namespace model
