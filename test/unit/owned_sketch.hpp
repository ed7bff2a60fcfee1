// A sketch that owns its memory, for the tests.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "summary/sketch.hpp"

class OwnedSketch {
public:
    OwnedSketch() = default;
    explicit OwnedSketch(std::span<const double> values) {
        for (const double value : values) add(value);
    }

    // Each change has exactly the room that it may ask for, so that a sanitizer sees one that takes more.
    void add(double value) {
        with_room(std::min(size_ + 1, summary::kMaxRoomToAdd), [value](auto& sketch) { summary::add(sketch, value); });
    }
    void merge(std::span<const summary::Bin> from) {
        const std::vector<summary::Bin> copy(from.begin(), from.end());
        with_room(size_ + static_cast<std::uint32_t>(from.size()), [&copy](auto& sketch) { summary::merge(sketch, copy); });
    }

    std::span<const summary::Bin> bins() const { return {bins_.data(), size_}; }

private:
    template <typename Change>
    void with_room(std::uint32_t room, Change change) {
        bins_.resize(room);
        bins_.shrink_to_fit();
        summary::Sketch sketch{bins_.data(), size_, room};
        change(sketch);
        size_ = sketch.size;
    }

    std::vector<summary::Bin> bins_;
    std::uint32_t size_ = 0;
};
