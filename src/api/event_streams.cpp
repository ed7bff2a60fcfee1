// Reads batches as the role of a client that wants them, and keeps the last few for the others.
#include "api/event_streams.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "api/bounded_transaction.hpp"
#include "api/statement.hpp"
#include "error_codes.hpp"
#include "http/cross_origin.hpp"
#include "model/json_text.hpp"
#include "postgres/error.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kSecond = 1000 * 1000;
constexpr SteadyTime kLongestSilence = 15 * kSecond;
constexpr SteadyTime kBetweenChecks = 5 * kSecond;   // whether the token still counts
constexpr SteadyTime kPollOnStandby = kSecond / 20;  // replay wakes nobody
constexpr SteadyTime kPoll = kSecond;
constexpr SteadyTime kBetweenLooks = kSecond / 500;  // for new batches
constexpr std::size_t kPiece = 64 * 1024;            // bytes that are sent at once, about
constexpr int kPiecesATurn = 8;                      // of one stream, before others have their turn
constexpr SteadyTime kLongestTurn = kSecond / 50;
constexpr std::size_t kCachedBatches = 4;

constexpr const char* kNewest = "SELECT COALESCE(max(b.batch_id), 0)::text, NULL::timestamptz FROM telemetry.batch b";
constexpr const char* kNext =
    "SELECT b.batch_id::text, b.created_at FROM telemetry.batch b WHERE b.batch_id > $1::bigint ORDER BY b.batch_id LIMIT 1";
// A name has no control character, so a tab and a line feed separate.
constexpr const char* kEvents =
    "SELECT string_agg(concat(e.id, E'\\t', e.aggregateid, E'\\t', e.payload ->> 'region', E'\\t', e.type, E'\\t', "
    "jsonb_build_object('id', e.id, 'type', e.type) || e.payload), E'\\n' ORDER BY e.ordinality), NULL::timestamptz "
    "FROM telemetry.read_events($1::bigint) WITH ORDINALITY AS e";
constexpr const char* kFollow = "SELECT telemetry.follow_from($1::bigint)::text, NULL::timestamptz";

std::int64_t number_of(std::string_view text) {
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::vector<BoundText> number(std::int64_t value) {
    return {{http::ParameterType::kText, std::to_string(value)}};
}

std::string_view next_field(std::string_view& line) {
    const auto end = std::min(line.find('\t'), line.size());
    const std::string_view field = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return field;
}

// A transaction that reads for one client.
class ReadingFor {
public:
    explicit ReadingFor(const std::string& authorization) {
        auto caller = find_caller(authorization);
        if (auto* problem = std::get_if<http::Problem>(&caller))
            problem_ = std::move(*problem);
        else if (!may_read(std::get<Caller>(caller), "events"))
            problem_ = http::Problem{.status = 403,
                                     .detail = "The role of the token may not read events.",
                                     .hint = "An administrator calls telemetry.grant_reader() for it.",
                                     .sqlstate = "42501"};
        else
            caller_ = std::get<Caller>(caller);
    }

    const std::optional<http::Problem>& problem() const noexcept { return problem_; }
    const Caller& caller() const noexcept { return caller_; }
    void commit() { transaction_.commit(); }

private:
    BoundedTransaction transaction_;
    std::optional<http::Problem> problem_;
    Caller caller_{};
};

}  // namespace

std::optional<StreamPlace> parse_stream_place(std::string_view text) {
    StreamPlace place;
    const char* end = text.data() + text.size();
    const auto [after_batch, error] = std::from_chars(text.data(), end, place.batch);
    if (error != std::errc() || place.batch < 0 || place.batch == INT64_MAX) return std::nullopt;  // a batch follows it
    if (after_batch == end) return place;
    std::int64_t event_id = 0;
    if (*after_batch != '-') return std::nullopt;
    const auto [after_event, event_error] = std::from_chars(after_batch + 1, end, event_id);
    if (event_error != std::errc() || after_event != end || event_id < 0) return std::nullopt;
    place.event_id = event_id;
    return place;
}

namespace {

// Raises an error where the role may not follow batches.
StreamPlace begin_place(const Caller& caller, const http::Request& request, const http::RouteMatch& found) {
    const std::string& sent = !request.last_event_id.empty() ? request.last_event_id : found.values.back().value_or("");
    if (sent.empty()) {
        const StreamPlace newest{number_of(query(caller, kNewest, {}).body.value_or("0")), std::nullopt};
        (void)query(caller, kFollow, number(newest.batch + 1));
        return newest;
    }
    const auto place = parse_stream_place(sent);
    if (!place)
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the id of the last event is no place of the stream", {},
                              "Send the id that came with the last event, unchanged, or none.");
    return *place;
}

}  // namespace

std::optional<http::Response> EventStreams::begin(const http::Received& received, const http::RouteMatch& found) {
    const SteadyTime now = runtime::steady_time();
    Stream stream{.client = received.from,
                  .authorization = received.request.authorization,
                  .device_id = found.values[0],
                  .region = found.values[1],
                  .place = {},
                  .batch = nullptr,
                  .spoke_at = now,
                  .checked_at = now};
    http::Response head = response_or_problem([&] {
        ReadingFor reading(stream.authorization);
        if (reading.problem()) return http::response_of(*reading.problem());
        stream.place = begin_place(reading.caller(), received.request, found);
        reading.commit();
        http::Response response;
        response.content_type = "text/event-stream";
        return response.with("Cache-Control", "no-store").with("X-Accel-Buffering", "no");
    });
    if (head.status != 200 || received.request.method == http::Method::kHead) return head;
    http::allow_origin(head, received.request.origin, runtime::settings().http_allow_origin);
    server_.begin_stream(received.from, std::move(head));
    server_.send(received.from, "retry: 2000\n\n");
    streams_.push_back(std::move(stream));
    return std::nullopt;
}

// An error ends this stream only. But a lock that others hold is no fault of the stream: all of them look again later.
template <typename Body>
void EventStreams::attempt(Stream& stream, Body body) {
    postgres::ErrorReport error;
    try {
        ReadingFor reading(stream.authorization);
        if (reading.problem()) return end(stream, "event: error\ndata: " + http::response_of(*reading.problem()).body + "\n");
        body(reading.caller());
        return reading.commit();
    } catch (...) {
        error = postgres::describe_current_exception();
    }
    if (error.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE) {
        locked_until_ = runtime::steady_time() + kPoll;
        return;
    }
    std::string words = error.sqlstate == error_codes::kBatchNotFound ? "event: lost\ndata: " : "event: error\ndata: ";
    words += http::response_of(problem_of(error)).body;
    end(stream, words + "\n");
}

void EventStreams::serve() {
    const SteadyTime now = runtime::steady_time();
    for (Stream& each : streams_)
        if (!server_.is_open(each.client)) each.has_ended = true;
    find_newest(now);
    // Many streams that have much to send must not keep the loop from the other clients: each turn begins behind the stream
    // with which the one before ended.
    bool has_more = false;
    const SteadyTime end = now + kLongestTurn;
    std::size_t served = 0;
    for (; served < streams_.size() && (served == 0 || runtime::steady_time() < end); ++served) {
        Stream& each = streams_[(first_ + served) % streams_.size()];
        for (int i = 0; i < kPiecesATurn && is_ready(each) && (i == 0 || has_next(each)); ++i) serve_one(each, now);
        has_more |= is_ready(each) && has_next(each);
        if (!is_ready(each)) put_batch_back(each);
    }
    has_more |= served < streams_.size();
    first_ = served < streams_.size() ? (first_ + served) % streams_.size() : 0;
    std::erase_if(streams_, [](const Stream& each) { return each.has_ended; });
    if (streams_.empty()) {
        cache_.clear();
        due_at_ = INT64_MAX;
        return;
    }
    SteadyTime due = now;
    if (!has_more) due = looked_at_ < now ? looked_at_ + kBetweenLooks : now + (RecoveryInProgress() ? kPollOnStandby : kPoll);
    due_at_ = std::max(due, locked_until_);
}

// Has the client taken what was sent?
bool EventStreams::is_ready(const Stream& stream) const noexcept {
    return !stream.has_ended && server_.has_room_for_more(stream.client);
}

bool EventStreams::has_next(const Stream& stream) const noexcept {
    if (stream.batch != nullptr || stream.place.batch < newest_) return true;
    return stream.place.event_id && (stream.place.batch == newest_ || !RecoveryInProgress());  // a standby may lag
}

// One look serves all streams that have sent what there was. The requests of others do not make it more frequent.
void EventStreams::find_newest(SteadyTime now) {
    if (now < looked_at_ + kBetweenLooks || now < locked_until_) return;
    looked_at_ = now;
    for (Stream& each : streams_) {
        if (each.has_ended) continue;
        attempt(each, [&](const Caller& caller) {
            const std::int64_t newest = number_of(query(caller, kNewest, {}).body.value_or("0"));
            if (newest < newest_) cache_.clear();  // of a log that is gone
            newest_ = newest;
            each.checked_at = now;
        });
        if (!each.has_ended) return;
    }
}

void EventStreams::serve_one(Stream& stream, SteadyTime now) {
    const bool must_check = now - stream.checked_at >= kBetweenChecks;
    const bool wants_batch = stream.batch == nullptr && has_next(stream);
    const bool is_ahead = stream.batch == nullptr && !wants_batch && stream.place.batch > newest_;
    if ((must_check || is_ahead || (wants_batch && !take_known_batch(stream))) && now >= locked_until_)
        attempt(stream, [&](const Caller& caller) {
            stream.checked_at = now;
            if (wants_batch && stream.batch == nullptr) take_next_batch(stream, caller);
            if (is_ahead) (void)query(caller, kFollow, number(stream.place.batch + 1));  // raises an error unless it may be so
        });
    if (stream.has_ended) return;
    if (stream.batch != nullptr) {
        send_events(stream);
        stream.spoke_at = now;
    } else if (now - stream.spoke_at >= kLongestSilence) {
        server_.send(stream.client, ":\n\n");
        stream.spoke_at = now;
    }
}

// Where the batch is kept, because another stream or this one has read it just now, nothing is to be read.
bool EventStreams::take_known_batch(Stream& stream) {
    const StreamPlace& place = stream.place;
    const auto known =
        std::ranges::find(cache_, place.batch, [&](const auto& each) { return place.event_id ? each->batch : each->follows; });
    if (known == cache_.end()) return false;
    std::size_t next_event = 0;
    if (place.event_id) {
        const auto last = std::ranges::find((*known)->events, *place.event_id, &Event::id);
        if (last == (*known)->events.end()) return false;
        next_event = static_cast<std::size_t>(last - (*known)->events.begin()) + 1;
    }
    stream.batch = *known;
    stream.next_event = next_event;
    return true;
}

// A client that takes nothing more for now must not keep a batch in memory.
void EventStreams::put_batch_back(Stream& stream) {
    if (stream.batch == nullptr) return;
    if (stream.next_event > 0) stream.place = {stream.batch->batch, stream.batch->events[stream.next_event - 1].id};
    stream.batch.reset();
}

void EventStreams::take_next_batch(Stream& stream, const Caller& caller) {
    StreamPlace& place = stream.place;
    if (place.event_id) {
        auto batch = read(-1, place.batch, caller);
        const auto last = std::ranges::find(batch->events, *place.event_id, &Event::id);
        if (last == batch->events.end())
            throw postgres::Error(error_codes::kBatchNotFound, "the last event is not in its batch any more",
                                  "The projector has merged the batch with others.", "Start over from the statistics.");
        stream.next_event = static_cast<std::size_t>(last - batch->events.begin()) + 1;
        stream.batch = std::move(batch);
        return;
    }
    const QueryAnswer next = query(caller, kNext, number(place.batch));
    if (!next.body) return;
    const std::int64_t batch = number_of(*next.body);
    // Between them may lie numbers that no batch has had, or a batch that is gone: then this raises an error.
    if (batch != place.batch + 1) (void)query(caller, kFollow, number(place.batch + 1));
    stream.batch = read(place.batch, batch, caller);
    stream.next_event = 0;
}

std::shared_ptr<const EventStreams::BatchEvents> EventStreams::read(std::int64_t follows, std::int64_t batch,
                                                                    const Caller& caller) {
    auto events = std::make_shared<BatchEvents>();
    events->follows = follows;
    events->batch = batch;
    const std::string lines = query(caller, kEvents, number(batch)).body.value_or("");
    for (std::size_t begin = 0; begin < lines.size();) {
        const auto line_end = std::min(lines.find('\n', begin), lines.size());
        std::string_view line = std::string_view(lines).substr(begin, line_end - begin);
        begin = line_end + 1;
        Event event{.id = number_of(next_field(line)), .device_id = {}, .region = {}, .text = {}};
        event.device_id = next_field(line);
        event.region = next_field(line);
        event.text.append("event: ").append(next_field(line)).append("\ndata: ").append(line).append("\n\n");
        events->events.push_back(std::move(event));
    }
    if (cache_.size() >= kCachedBatches) cache_.erase(cache_.begin());
    cache_.push_back(events);
    return events;
}

void EventStreams::send_events(Stream& stream) {
    std::string piece;
    const auto& events = stream.batch->events;
    const std::string batch = std::to_string(stream.batch->batch);
    while (stream.next_event < events.size() && piece.size() < kPiece) {
        const Event& event = events[stream.next_event++];
        if (stream.device_id && event.device_id != *stream.device_id) continue;
        if (stream.region && event.region != *stream.region) continue;
        piece.append("id: ").append(batch).append("-").append(std::to_string(event.id)).append("\n").append(event.text);
    }
    if (stream.next_event >= events.size()) {
        piece.append("id: ").append(batch).append("\n\n");
        stream.place = {stream.batch->batch, std::nullopt};
        stream.batch.reset();
    }
    server_.send(stream.client, piece);
}

void EventStreams::end(Stream& stream, std::string_view last_words) {
    server_.send(stream.client, last_words);
    server_.end_stream(stream.client);
    stream.has_ended = true;
}

}  // namespace api
