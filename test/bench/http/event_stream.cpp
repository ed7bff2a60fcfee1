#include "http/event_stream.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include <poll.h>

#include "http/clients.hpp"

namespace bench {
namespace {

constexpr int kLongestSilence = 60'000;  // milliseconds

}  // namespace

EventStream::EventStream(int port, const std::string& token) : socket_(port) {
    const std::string request = http_get("/events", token);
    if (socket_.send(request) != request.size()) throw std::runtime_error("a socket did not take a short request");
    while (answer_.body().empty())
        if (!take_bytes(kLongestSilence)) throw std::runtime_error("a stream of events does not begin");
    if (answer_.status() != 200) throw std::runtime_error("a stream of events: " + answer_.body());
    answer_.forget_body();
}

bool EventStream::take_bytes(int milliseconds) {
    pollfd waited{socket_.descriptor(), POLLIN, 0};
    if (poll(&waited, 1, milliseconds) <= 0) return false;
    answer_.take(socket_.receive());
    return true;
}

// "id: BATCH-EVENT" is the first line of an event. A line without an event ends a batch.
std::vector<std::int64_t> EventStream::wait(int milliseconds) {
    std::vector<std::int64_t> ids;
    if (!take_bytes(milliseconds)) return ids;
    unread_ += answer_.body();
    answer_.forget_body();
    std::size_t begin = 0;
    for (std::size_t end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n', begin)) {
        const std::string_view line = std::string_view(unread_).substr(begin, end - begin);
        begin = end + 1;
        if (line.starts_with("event: error") || line.starts_with("event: lost"))
            throw std::runtime_error("the stream of events has ended: " + unread_.substr(begin));
        const std::size_t dash = line.find('-');
        if (line.starts_with("id: ") && dash != line.npos) ids.push_back(std::atoll(line.data() + dash + 1));
    }
    unread_.erase(0, begin);
    return ids;
}

}  // namespace bench
