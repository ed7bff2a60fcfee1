// Finds the chunk of a number by a search, because the numbers of the chunks ascend.
#include "relay/outbox.hpp"

#include <algorithm>
#include <utility>

namespace relay {

OutgoingMessage Chunk::message(std::size_t index) const noexcept {
    const std::string_view text = text_;
    const std::size_t begin = index == 0 ? 0 : ends_[3 * index - 1];
    const std::size_t* ends = &ends_[3 * index];
    return {text.substr(begin, ends[0] - begin), text.substr(ends[0], ends[1] - ends[0]),
            text.substr(ends[1], ends[2] - ends[1])};
}

void Outbox::push(Chunk chunk) {
    const std::size_t size = chunk.size();
    if (size == 0 && chunks_.empty()) {
        finished_ = chunk.ticket();
        return;
    }
    bytes_ += chunk.bytes();
    chunks_.push_back({std::move(chunk), next_number_, std::vector<bool>(size)});
    next_number_ += size;
    unsent_ += size;
}

std::optional<NumberedMessage> Outbox::take() {
    for (; sending_ < chunks_.size(); ++sending_) {
        Entry& entry = chunks_[sending_];
        while (entry.sent < entry.chunk.size()) {
            const std::size_t index = entry.sent++;
            if (entry.is_acknowledged[index]) continue;
            const bool was_sent = index < entry.most_sent;
            entry.most_sent = std::max(entry.most_sent, entry.sent);
            ++in_flight_;
            --unsent_;
            return NumberedMessage{entry.first + index, entry.chunk.message(index), was_sent};
        }
    }
    return std::nullopt;
}

Outbox::Entry* Outbox::entry_of(std::uint64_t number) noexcept {
    const auto after = std::upper_bound(chunks_.begin(), chunks_.end(), number,
                                        [](std::uint64_t sought, const Entry& entry) { return sought < entry.first; });
    if (after == chunks_.begin()) return nullptr;
    Entry& entry = *std::prev(after);
    return number - entry.first < entry.sent ? &entry : nullptr;
}

bool Outbox::acknowledge(std::uint64_t number) {
    Entry* entry = entry_of(number);
    if (entry == nullptr || entry->is_acknowledged[number - entry->first]) return false;
    entry->is_acknowledged[number - entry->first] = true;
    ++entry->acknowledged;
    --in_flight_;
    while (!chunks_.empty() && chunks_.front().acknowledged == chunks_.front().chunk.size()) {
        finished_ = chunks_.front().chunk.ticket();
        bytes_ -= chunks_.front().chunk.bytes();
        chunks_.pop_front();
        if (sending_ > 0) --sending_;
    }
    return true;
}

void Outbox::send_again() noexcept {
    for (Entry& entry : chunks_) entry.sent = 0;
    sending_ = 0;
    unsent_ += std::exchange(in_flight_, 0);
}

std::optional<std::uint64_t> Outbox::take_finished() noexcept {
    return std::exchange(finished_, std::nullopt);
}

void Outbox::clear() noexcept {
    chunks_.clear();
    bytes_ = unsent_ = in_flight_ = sending_ = 0;
    finished_.reset();
}

}  // namespace relay
