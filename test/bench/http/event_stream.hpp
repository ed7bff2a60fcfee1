// A client of GET /events that notes the events' ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/answer_reader.hpp"
#include "http/socket.hpp"

namespace bench {

class EventStream {
public:
    // Returns when the stream has begun: it has every event of a batch that is closed from now on.
    EventStream(int port, const std::string& token);

    // Waits for bytes, for so many milliseconds at most. Returns the ids of the events that have come.
    std::vector<std::int64_t> wait(int milliseconds);

private:
    bool take_bytes(int milliseconds);

    Socket socket_;
    AnswerReader answer_;
    std::string unread_;  // the begin of a line
};

}  // namespace bench
