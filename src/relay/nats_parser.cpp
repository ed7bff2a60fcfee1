// Finds the control line of a frame, learns from it how long the frame is, and reads the frame when all of it is there.
#include "relay/nats_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace relay {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeaderVersion = "NATS/1.0";

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}

char to_upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// Is `word` this operation, in upper or lower case?
bool is_operation(std::string_view word, std::string_view operation) noexcept {
    return std::ranges::equal(word, operation, {}, to_upper);
}

std::string_view without_blanks(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// Takes a word and the blanks after it off the front of `text`.
std::string_view take_word(std::string_view& text) noexcept {
    const auto end = std::ranges::find_if(text, is_blank);
    const std::string_view word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(word.size());
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    return word;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// Reads "NATS/1.0[ status[ description]]\r\n", further lines, and an empty line.
void read_headers(std::string_view block, NatsFrame& frame) noexcept {
    if (!block.starts_with(kHeaderVersion) || !block.ends_with("\r\n\r\n")) return;
    const auto first_end = block.find(kLineEnd);
    std::string_view first = block.substr(kHeaderVersion.size(), first_end - kHeaderVersion.size());
    int status = 0;
    if (!first.empty()) {
        if (!is_blank(first.front())) return;
        first = without_blanks(first);
        if (!first.empty() && !read_number(take_word(first), status)) return;
    }
    frame.status = status;
    frame.description = first;
    const auto lines_begin = first_end + kLineEnd.size();
    // Where there is no line, the end of the first one belongs to the empty line, too.
    if (lines_begin + kLineEnd.size() < block.size())
        frame.headers = block.substr(lines_begin, block.size() - kLineEnd.size() - lines_begin);
}

}  // namespace

// A control line, with the sizes that it announces.
struct NatsParser::ControlLine {
    NatsFrame frame;
    bool has_body = false;
    std::size_t header_size = 0;
    std::size_t body_size = 0;  // headers and payload
};

std::string_view words_of(NatsFlaw flaw) noexcept {
    switch (flaw) {
        case NatsFlaw::kNone:
            break;
        case NatsFlaw::kLineTooLong:
            return "the server sent a line that is too long";
        case NatsFlaw::kUnknownOperation:
            return "the server sent an operation that is not of the NATS protocol";
        case NatsFlaw::kBadArguments:
            return "the server sent an operation with other arguments than the NATS protocol says";
        case NatsFlaw::kMessageTooLarge:
            return "the server sent a message that is too large";
        case NatsFlaw::kMissingLineEnd:
            return "the server sent a message of another size than it announced";
    }
    return {};
}

std::optional<NatsFrame> NatsParser::next(std::string_view& input) {
    if (is_buffer_given_) {
        buffer_.clear();
        is_buffer_given_ = false;
    }
    if (flaw_ != NatsFlaw::kNone) return std::nullopt;
    if (!buffer_.empty()) return next_of_buffer(input);
    if (measure(input) && input.size() >= frame_size_) {
        const std::string_view bytes = input.substr(0, frame_size_);
        input.remove_prefix(bytes.size());
        const NatsFrame frame = complete(bytes);
        if (flaw_ != NatsFlaw::kNone) return std::nullopt;
        return frame;
    }
    if (flaw_ != NatsFlaw::kNone) return std::nullopt;
    buffer_.reserve(frame_size_);
    buffer_.append(input);
    input = {};
    return std::nullopt;
}

// Does the same for a frame that began in an earlier chunk. It takes no byte of the frame behind it.
std::optional<NatsFrame> NatsParser::next_of_buffer(std::string_view& input) {
    if (frame_size_ == 0) {
        const auto end = input.find('\n');
        const std::string_view of_line = end == std::string_view::npos ? input : input.substr(0, end + 1);
        buffer_.append(of_line);
        input.remove_prefix(of_line.size());
        if (!measure(buffer_)) return std::nullopt;
        buffer_.reserve(frame_size_);
    }
    const std::string_view rest = input.substr(0, frame_size_ - buffer_.size());
    buffer_.append(rest);
    input.remove_prefix(rest.size());
    if (buffer_.size() < frame_size_) return std::nullopt;
    is_buffer_given_ = true;
    const NatsFrame frame = complete(buffer_);
    if (flaw_ != NatsFlaw::kNone) return std::nullopt;
    return frame;
}

// Learns how long the frame is that begins here. Returns false if the line is not complete yet, or is a flaw.
bool NatsParser::measure(std::string_view bytes) {
    const bool is_info = bytes.size() > 4 && is_operation(bytes.substr(0, 4), "INFO") && is_blank(bytes[4]);
    const std::size_t limit = is_info ? limits_.max_info : limits_.max_control_line;
    const auto end = bytes.find('\n', without_end_);
    if (end > limit && bytes.size() > limit) {
        flaw_ = NatsFlaw::kLineTooLong;
        return false;
    }
    if (end == std::string_view::npos) {
        without_end_ = bytes.size();
        return false;
    }
    const ControlLine line = read_line(bytes.substr(0, end));
    if (flaw_ != NatsFlaw::kNone) return false;
    line_size_ = end + 1;
    frame_size_ = line_size_ + (line.has_body ? line.body_size + kLineEnd.size() : 0);
    return true;
}

// Reads the frame of which all bytes are there.
NatsFrame NatsParser::complete(std::string_view bytes) {
    ControlLine line = read_line(bytes.substr(0, line_size_ - 1));
    if (line.has_body) {
        const std::string_view body = bytes.substr(line_size_, line.body_size);
        if (!bytes.ends_with(kLineEnd)) flaw_ = NatsFlaw::kMissingLineEnd;
        read_headers(body.substr(0, line.header_size), line.frame);
        line.frame.payload = body.substr(line.header_size);
    }
    without_end_ = line_size_ = frame_size_ = 0;
    return line.frame;
}

// `line` comes without \n.
NatsParser::ControlLine NatsParser::read_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string_view arguments = without_blanks(line);
    const std::string_view operation = take_word(arguments);
    if (is_operation(operation, "MSG")) return read_message_line(arguments, false);
    if (is_operation(operation, "HMSG")) return read_message_line(arguments, true);
    ControlLine read;
    if (is_operation(operation, "PING")) {
        read.frame.kind = NatsFrameKind::kPing;
    } else if (is_operation(operation, "PONG")) {
        read.frame.kind = NatsFrameKind::kPong;
    } else if (is_operation(operation, "+OK")) {
        read.frame.kind = NatsFrameKind::kOk;
    } else if (is_operation(operation, "INFO")) {
        read.frame.kind = NatsFrameKind::kInfo;
        read.frame.text = arguments;
    } else if (is_operation(operation, "-ERR")) {
        read.frame.kind = NatsFrameKind::kError;
        const bool is_quoted = arguments.size() >= 2 && arguments.front() == '\'' && arguments.back() == '\'';
        read.frame.text = is_quoted ? arguments.substr(1, arguments.size() - 2) : arguments;
    } else {
        flaw_ = NatsFlaw::kUnknownOperation;
    }
    return read;
}

NatsParser::ControlLine NatsParser::read_message_line(std::string_view arguments, bool has_headers) {
    constexpr std::size_t kMostWords = 5;
    std::array<std::string_view, kMostWords> words;
    std::size_t count = 0;
    while (!arguments.empty() && count < kMostWords) words[count++] = take_word(arguments);
    const std::size_t least = has_headers ? 4 : 3;
    ControlLine read;
    read.frame.kind = NatsFrameKind::kMessage;
    read.has_body = true;
    const bool has_reply = count == least + 1;
    if (!arguments.empty() || (count != least && !has_reply)) {
        flaw_ = NatsFlaw::kBadArguments;
        return read;
    }
    read.frame.subject = words[0];
    if (has_reply) read.frame.reply = words[2];
    if (!read_number(words[1], read.frame.sid) || !read_number(words[count - 1], read.body_size) ||
        (has_headers && !read_number(words[count - 2], read.header_size)) || read.header_size > read.body_size)
        flaw_ = NatsFlaw::kBadArguments;
    else if (read.body_size > limits_.max_message)
        flaw_ = NatsFlaw::kMessageTooLarge;
    return read;
}

}  // namespace relay
