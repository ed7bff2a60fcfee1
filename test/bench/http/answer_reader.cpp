#include "http/answer_reader.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <strings.h>

namespace bench {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

template <typename Number>
Number number_of(std::string_view text, int base) {
    Number number = 0;
    while (text.starts_with(' ')) text.remove_prefix(1);
    if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec != std::errc())
        throw std::runtime_error("an HTTP answer with " + std::string(text) + " where a number belongs");
    return number;
}

bool is_field(std::string_view line, std::string_view name) {
    return line.size() > name.size() && line[name.size()] == ':' && strncasecmp(line.data(), name.data(), name.size()) == 0;
}

}  // namespace

void AnswerReader::take(std::string_view bytes) {
    input_.append(bytes);
    if (status_ == 0 && !take_head()) return;
    if (is_chunked_) {
        while (!is_complete_ && take_chunk()) continue;
    } else {
        move_to_body(std::min(left_, input_.size()));
        is_complete_ = left_ == 0;
    }
    if (is_complete_ && !input_.empty()) throw std::runtime_error("an HTTP answer is longer than it says");
}

bool AnswerReader::take_head() {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::string_view head = std::string_view(input_).substr(0, end);
    if (!head.starts_with("HTTP/1.1 ")) throw std::runtime_error("no HTTP answer: " + std::string(head));
    status_ = number_of<int>(head.substr(9, 3), 10);
    bool has_length = false;
    for (std::size_t begin = head.find(kLineEnd); begin != head.npos; begin = head.find(kLineEnd, begin)) {
        begin += kLineEnd.size();
        const std::string_view line = head.substr(begin, head.find(kLineEnd, begin) - begin);
        if (is_field(line, "content-length")) {
            left_ = number_of<std::size_t>(line.substr(line.find(':') + 1), 10);
            has_length = true;
        }
        is_chunked_ |= is_field(line, "transfer-encoding");
    }
    if (!has_length && !is_chunked_) throw std::runtime_error("an HTTP answer that does not say where it ends");
    input_.erase(0, end + 4);
    return true;
}

// Takes what there is of a chunk. Returns whether there may be more.
bool AnswerReader::take_chunk() {
    if (left_ == 0) {
        const std::size_t end = input_.find(kLineEnd);
        if (end == std::string::npos) return false;
        const auto size = number_of<std::size_t>(std::string_view(input_).substr(0, end), 16);
        if (size == 0) {
            if (input_.size() < end + 2 * kLineEnd.size()) return false;
            input_.erase(0, end + 2 * kLineEnd.size());
            is_complete_ = true;
            return false;
        }
        input_.erase(0, end + kLineEnd.size());
        left_ = size + kLineEnd.size();
    }
    if (left_ > kLineEnd.size()) move_to_body(std::min(left_ - kLineEnd.size(), input_.size()));
    if (left_ > kLineEnd.size() || input_.size() < kLineEnd.size()) return false;
    input_.erase(0, kLineEnd.size());
    left_ = 0;
    return true;
}

void AnswerReader::move_to_body(std::size_t count) {
    body_.append(input_, 0, count);
    input_.erase(0, count);
    left_ -= count;
}

void AnswerReader::reset() {
    input_.clear();
    body_.clear();
    status_ = 0;
    is_chunked_ = is_complete_ = false;
    left_ = 0;
}

}  // namespace bench
