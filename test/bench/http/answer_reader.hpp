// Takes the bytes of one HTTP answer. The body has a Content-Length or comes in chunks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {

class AnswerReader {
public:
    // Takes bytes as they come. Throws for what is no answer, and for bytes behind its end.
    void take(std::string_view bytes);

    bool has_head() const { return status_ != 0; }
    bool is_complete() const { return is_complete_; }
    int status() const { return status_; }
    const std::string& body() const { return body_; }  // as far as it has come
    void forget_body() { body_.clear(); }              // so that one without an end needs no memory
    void reset();

private:
    bool take_head();
    bool take_chunk();
    void move_to_body(std::size_t count);

    std::string input_;  // not understood yet
    std::string body_;
    int status_ = 0;  // 0: the head is not complete
    bool is_chunked_ = false;
    bool is_complete_ = false;
    std::size_t left_ = 0;  // of the body, or of the chunk with its line end
};

}  // namespace bench
