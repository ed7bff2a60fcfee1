// The command of HTTP: POST /telemetry stores readings through the JSON door.
//
// The commit does not wait for the disk, so one flush serves all commands of a turn. An answer goes out only when its commit
// has reached the disk and, where the server has synchronous standbys, them.
#pragma once

#include <cstdint>
#include <span>

#include "http/problem.hpp"
#include "http/route.hpp"
#include "http/server.hpp"
#include "runtime/steady_time.hpp"

namespace api {

// A command whose transaction has committed.
struct UnconfirmedCommand {
    http::Received received;
    http::Response response;
    std::uint64_t commit_end;  // place in the server's log; 0: nothing was written
    runtime::SteadyTime deadline = 0;
};

// Runs the command in a transaction of its own. Errors become the response.
UnconfirmedCommand run_command(http::Received received, const http::RouteMatch& found);

// Brings the log of all of them to the disk.
void flush_commits(std::span<const UnconfirmedCommand> commands);

// Have the synchronous standbys of the server this commit?
bool is_replicated(const UnconfirmedCommand& command);

}  // namespace api
