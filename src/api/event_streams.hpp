// The streams of GET /events: each client gets every event of the log from where it begins, as server-sent events.
//
// A stream stands at a batch of telemetry.batch, and reads on only when the client has taken what was sent: so a slow client
// costs no memory but that of a piece, and no event is left out. Streams share the few batches that are kept. The id of an
// event is "batch-event"; a line "id: batch" follows the last event of a batch. A client that comes back with either goes on
// right behind it. Where that place is not kept any more, it is told so by an event "lost", and the stream ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/caller.hpp"
#include "http/route.hpp"
#include "http/server.hpp"
#include "runtime/steady_time.hpp"

namespace api {

// A place between two events.
struct StreamPlace {
    std::int64_t batch = 0;                // the events up to this batch were sent,
    std::optional<std::int64_t> event_id;  // or of this one those up to this event
};

// Reads "17-123" and "17". Nothing: the text is neither.
std::optional<StreamPlace> parse_stream_place(std::string_view text);

class EventStreams {
public:
    explicit EventStreams(http::Server& server) : server_(server) {}
    EventStreams(const EventStreams&) = delete;
    EventStreams& operator=(const EventStreams&) = delete;

    // Begins a stream, or returns why it cannot. A request HEAD only learns whether it could.
    std::optional<http::Response> begin(const http::Received& received, const http::RouteMatch& found);

    // Sends what there is to those that have taken what was sent before. No transaction is open before and after.
    void serve();

    bool has_some() const noexcept { return !streams_.empty(); }
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    struct Event {
        std::int64_t id;
        std::string device_id, region;
        std::string text;  // as it is sent, but for the id
    };
    struct BatchEvents {
        std::int64_t follows;  // the batch before it, for streams that stand there; -1: not known
        std::int64_t batch;
        std::vector<Event> events;
    };
    struct Stream {
        http::ConnectionId client;
        std::string authorization;
        std::optional<std::string> device_id, region;
        StreamPlace place;
        std::shared_ptr<const BatchEvents> batch;  // the one that is being sent
        std::size_t next_event = 0;
        runtime::SteadyTime spoke_at = 0;
        runtime::SteadyTime checked_at = 0;
        bool has_ended = false;
    };

    template <typename Body>
    void attempt(Stream& stream, Body body);
    void find_newest(runtime::SteadyTime now);
    void serve_one(Stream& stream, runtime::SteadyTime now);
    bool is_ready(const Stream& stream) const noexcept;
    bool has_next(const Stream& stream) const noexcept;
    bool take_known_batch(Stream& stream);
    void put_batch_back(Stream& stream);
    void take_next_batch(Stream& stream, const Caller& caller);
    std::shared_ptr<const BatchEvents> read(std::int64_t follows, std::int64_t batch, const Caller& caller);
    void send_events(Stream& stream);
    void end(Stream& stream, std::string_view last_words);

    http::Server& server_;
    std::vector<Stream> streams_;
    std::vector<std::shared_ptr<const BatchEvents>> cache_;  // the newest last
    std::int64_t newest_ = 0;                                // batch
    std::size_t first_ = 0;                                  // the stream with which the next turn begins
    runtime::SteadyTime looked_at_ = 0;                      // when the newest batch was looked for
    runtime::SteadyTime locked_until_ = 0;                   // a lock was not to be had; no stream asks the database before
    runtime::SteadyTime due_at_ = INT64_MAX;
};

}  // namespace api
