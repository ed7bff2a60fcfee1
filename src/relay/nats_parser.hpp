// Cuts the bytes that a NATS server sends into frames. The bytes come in chunks that may end anywhere.
//
//   frame                                                   what the server says
//   INFO {json}                                             about itself; first of all, and again when that changes
//   MSG subject sid [reply] size, payload                   a message for subscription `sid`
//   HMSG subject sid [reply] header_size size, both parts   the same with headers
//   PING, PONG, +OK, -ERR 'text'
//
// A frame that lies wholly in one chunk is not copied. The parser keeps the beginning of another one, and so has at most
// max(max_info, max_control_line + max_message) bytes and one chunk. Bytes that are no frame are a flaw, and the parser gives
// nothing more: the connection is of no use then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relay {

struct NatsLimits {
    std::size_t max_control_line = 4096;  // bytes of a line, as servers have it by default
    std::size_t max_info = 1 << 20;       // bytes of the line INFO; it lists the servers of a cluster
    std::size_t max_message = 1 << 20;    // bytes of headers and payload together
};

enum class NatsFrameKind { kInfo, kMessage, kPing, kPong, kOk, kError };

// The texts are views into the chunk or the parser, and valid until the next call of next() or the chunk's end.
struct NatsFrame {
    NatsFrameKind kind = NatsFrameKind::kOk;
    std::string_view text;  // kInfo: the JSON; kError: the server's words, without quotes

    // of kMessage:
    std::uint64_t sid = 0;
    std::string_view subject, reply;  // reply: empty if the sender wants none
    // Any client can send a message with headers that are not well-formed. So these are no flaw; they read as none.
    int status = 0;                // "NATS/1.0 503" is 503: nobody answers the request; 0: none
    std::string_view description;  // the words after the status
    std::string_view headers;      // the lines "name: value", each with its \r\n
    std::string_view payload;
};

enum class NatsFlaw {
    kNone,
    kLineTooLong,
    kUnknownOperation,
    kBadArguments,
    kMessageTooLarge,
    kMissingLineEnd,  // no \r\n after a payload: its size was wrong
};

std::string_view words_of(NatsFlaw flaw) noexcept;

class NatsParser {
public:
    explicit NatsParser(const NatsLimits& limits) noexcept : limits_(limits) {}

    // Takes the next frame off the front of `input`. Returns nothing when all of `input` is taken, or when there is a flaw.
    std::optional<NatsFrame> next(std::string_view& input);

    NatsFlaw flaw() const noexcept { return flaw_; }

private:
    struct ControlLine;

    bool measure(std::string_view bytes);
    ControlLine read_line(std::string_view line);
    ControlLine read_message_line(std::string_view arguments, bool has_headers);
    NatsFrame complete(std::string_view bytes);
    std::optional<NatsFrame> next_of_buffer(std::string_view& input);

    NatsLimits limits_;
    NatsFlaw flaw_ = NatsFlaw::kNone;
    std::string buffer_;            // the beginning of a frame, or the frame that the caller has
    bool is_buffer_given_ = false;  // the caller has it
    std::size_t without_end_ = 0;   // so many bytes hold no end of the line
    std::size_t line_size_ = 0;     // with its end; 0: not known yet
    std::size_t frame_size_ = 0;    // 0: not known yet
};

}  // namespace relay
