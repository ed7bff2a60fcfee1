// The messages that a sink has taken and that its server has not acknowledged yet. It is pure C++ and calls no server code.
//
// Messages come in chunks and have ascending numbers. They go out in that order, and again from the first unacknowledged one on
// after a connection is lost. Acknowledgements come in any order. A chunk leaves when all before it and all of it are
// acknowledged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relay {

// A message, as a view into its chunk.
struct OutgoingMessage {
    std::string_view subject, id, payload;
};

// Messages one after the other. Its messages are rendered into one text.
class Chunk {
public:
    // `ticket` tells the owner which chunk it was.
    explicit Chunk(std::uint64_t ticket) noexcept : ticket_(ticket) {}

    // The text to which the caller appends subject, id and payload, and calls a function after each.
    std::string& text() noexcept { return text_; }
    void end_subject() { ends_.push_back(text_.size()); }
    void end_id() { ends_.push_back(text_.size()); }
    void end_payload() { ends_.push_back(text_.size()); }

    std::uint64_t ticket() const noexcept { return ticket_; }
    std::size_t size() const noexcept { return ends_.size() / 3; }
    std::size_t bytes() const noexcept { return text_.size(); }
    OutgoingMessage message(std::size_t index) const noexcept;

private:
    std::uint64_t ticket_;
    std::string text_;
    std::vector<std::size_t> ends_;  // three for each message
};

struct NumberedMessage {
    std::uint64_t number;
    OutgoingMessage message;
    bool was_sent;  // before; the server may have it
};

class Outbox {
public:
    void push(Chunk chunk);

    std::size_t bytes() const noexcept { return bytes_; }
    bool is_empty() const noexcept { return chunks_.empty(); }
    std::size_t unsent() const noexcept { return unsent_; }
    std::size_t in_flight() const noexcept { return in_flight_; }

    // The next message to be sent. It counts as in flight.
    std::optional<NumberedMessage> take();

    // False: no message of this number is in flight.
    bool acknowledge(std::uint64_t number);

    // Everything that is not acknowledged is to be sent again.
    void send_again() noexcept;

    // The ticket of the last chunk that has left since the last call.
    std::optional<std::uint64_t> take_finished() noexcept;

    void clear() noexcept;

private:
    struct Entry {
        Chunk chunk;
        std::uint64_t first;  // the number of its first message
        std::vector<bool> is_acknowledged;
        std::size_t acknowledged = 0;
        std::size_t sent = 0;       // since the last send_again
        std::size_t most_sent = 0;  // ever
    };

    Entry* entry_of(std::uint64_t number) noexcept;

    std::deque<Entry> chunks_;
    std::uint64_t next_number_ = 1;
    std::size_t bytes_ = 0;
    std::size_t unsent_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t sending_ = 0;  // the index of the chunk of which messages go out
    std::optional<std::uint64_t> finished_;
};

}  // namespace relay
