// Answers the requests that a server of HTTP has received: it finds the route, asks who the client is, and has the answer made.
//
// - A transaction lasts for one answer, or for the answers to several clients that ask for devices at once. None is open while
// the
//   service waits for a client.
// - What cannot be answered yet is kept: a client that waits for its own write, a commit that has not reached the standby, a
//   stream. Nothing keeps the loop waiting.
// - An error becomes the answer of one client.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/commands.hpp"
#include "api/device_answers.hpp"
#include "api/event_streams.hpp"
#include "api/statement.hpp"
#include "http/route.hpp"
#include "http/server.hpp"
#include "runtime/steady_time.hpp"

namespace api {

class Service {
public:
    explicit Service(http::Server& server) : server_(server), streams_(server) {}

    // Answers what can be answered now. No transaction is open before and after.
    void serve();

    // When `serve` has something to do although no request comes.
    runtime::SteadyTime due_at() const noexcept;

    // Does anybody wait for passes of the projector?
    bool wants_news() const noexcept { return !waiting_.empty() || streams_.has_some(); }

private:
    // A client that waits for its own write.
    struct Waiting {
        http::Received received;
        http::RouteMatch found;
        runtime::SteadyTime deadline;
    };

    void take(http::Received received, const http::RouteMatch& found);
    http::Response answer_of(const http::Request& request, const http::RouteMatch& found);
    http::Response query_of(const http::Request& request, const http::RouteMatch& found);
    http::Response health_of(const http::Request& request);
    void look_at_waiting();
    std::optional<http::Response> waited(const Waiting& waiting);
    void look_at_commits();
    void answer(const http::Received& received, http::Response response);

    http::Server& server_;
    DeviceAnswers devices_;
    EventStreams streams_;
    std::vector<Waiting> waiting_;
    runtime::SteadyTime look_at_waiting_at_ = 0;  // not before
    bool owes_look_ = false;                      // the last turn came before it
    std::vector<UnconfirmedCommand> unconfirmed_;
    runtime::SteadyTime look_at_commits_at_ = 0;
    http::Response health_;
    runtime::SteadyTime health_until_ = 0;
};

}  // namespace api
