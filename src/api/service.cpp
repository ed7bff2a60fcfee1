// Takes request after request, and looks again at those that wait.
#include "api/service.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "api/bounded_transaction.hpp"
#include "api/page.hpp"
#include "http/cross_origin.hpp"
#include "http/problem.hpp"
#include "http/validators.hpp"
#include "postgres/error.hpp"
#include "runtime/installed.hpp"
#include "runtime/library_version.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kMillisecond = 1000;
constexpr SteadyTime kBetweenLooks = 20 * kMillisecond;  // at clients that wait, if nobody wakes the worker
constexpr SteadyTime kBetweenLooksAtStandbys = 2 * kMillisecond;
constexpr SteadyTime kLongestTurn = 20 * kMillisecond;    // but for its last request
constexpr SteadyTime kHealthLasts = 2000 * kMillisecond;  // a state that anybody may ask for
constexpr int kHealthRests =
    9;  // times as long as it took to find the state: so anybody can cost the worker a tenth of its time

constexpr const char* kWaitFor = "SELECT telemetry.wait_for($1, 0::double precision, $2), NULL::timestamptz";
constexpr const char* kHealth = R"sql(
    SELECT COALESCE((array_agg(h.state ORDER BY array_position('{error,warning,ok}', h.state)))[1], 'ok'),
           json_agg(json_build_object('item', h.item, 'state', h.state, 'detail', h.detail, 'hint', h.hint))::text
    FROM telemetry.health() AS h)sql";

SteadyTime timeout() {
    return runtime::settings().http_timeout * kMillisecond;
}

http::Response json_response(std::string body) {
    http::Response response;
    response.content_type = "application/json";
    response.body = std::move(body) + '\n';
    return response;
}

http::Response health_response(const std::string& state, const std::optional<std::string>& items) {
    http::Response response = json_response("{\"state\":\"" + state + '"' + (items ? ",\"items\":" + *items : "") + '}');
    if (state == "error") response.status = 503;
    return response;
}

std::vector<BoundText> bind(const http::Route& route, const http::RouteMatch& found) {
    std::vector<BoundText> bound;
    for (std::size_t i = 0; i < route.parameters.size(); ++i) bound.push_back({route.parameters[i].type, found.values[i]});
    return bound;
}

// Runs `body(caller)` in a transaction.
template <typename Body>
http::Response read_as_caller(const http::Request& request, Body body) {
    BoundedTransaction transaction;
    const auto caller = find_caller(request.authorization);
    if (const auto* problem = std::get_if<http::Problem>(&caller)) return http::response_of(*problem);
    http::Response response = body(std::get<Caller>(caller));
    transaction.commit();
    return response;
}

// Answers that need no database, and those of no route. Nothing: another one.
std::optional<http::Response> plain_answer(const http::Request& request, const http::RouteMatch& found) {
    if (found.allowed.empty())
        return http::response_of(
            {.status = 404, .detail = "There is nothing at this path.", .hint = "GET /openapi.json lists what there is."});
    if (request.method == http::Method::kOptions) return http::preflight(found.allowed);
    if (found.route == nullptr) {
        http::Response response = http::response_of(
            {.status = 405, .detail = "The path does not have this method.", .hint = "It has " + found.allowed + "."});
        return response.with("Allow", found.allowed);
    }
    if (!found.flaw.empty())
        return http::response_of({.status = 400, .detail = found.flaw, .hint = "GET /openapi.json lists the parameters."});
    switch (found.route->kind) {
        case http::RouteKind::kPage:
            return page(request);
        case http::RouteKind::kDescription: {
            http::Response response = json_response(http::open_api_description(runtime::kLibraryVersion));
            http::add_validators(response, request, std::nullopt);
            return response;
        }
        default:
            return std::nullopt;
    }
}

}  // namespace

void Service::answer(const http::Received& received, http::Response response) {
    response.with("X-Content-Type-Options", "nosniff");
    if (response.status == 401) response.with("WWW-Authenticate", "Bearer");
    http::allow_origin(response, received.request.origin, runtime::settings().http_allow_origin);
    server_.answer(received.from, std::move(response));
}

void Service::serve() {
    std::vector<std::pair<http::Received, http::Response>> ready;  // are sent when no transaction is open
    const auto send_ready = [&] {
        devices_.close();
        for (auto& [received, response] : ready) answer(received, std::move(response));
        ready.clear();
    };
    // A client that sends one request behind the other must not keep the loop from the others.
    const SteadyTime end = runtime::steady_time() + kLongestTurn;
    while (runtime::steady_time() < end) {
        auto received = server_.take_received();
        if (!received) break;
        const http::RouteMatch found = http::match(received->request);
        const bool is_device = found.route != nullptr && found.route->kind == http::RouteKind::kDeviceStats &&
                               found.flaw.empty() && received->request.method != http::Method::kOptions;
        if (is_device && received->request.target.parameters.empty()) {
            http::Response response = devices_.answer(received->request, *found.values[0]);
            ready.emplace_back(*std::move(received), std::move(response));
            continue;
        }
        send_ready();
        take(*std::move(received), found);
    }
    send_ready();
    owes_look_ = runtime::steady_time() < look_at_waiting_at_;
    if (!owes_look_) look_at_waiting();
    look_at_commits();
    if (streams_.has_some()) streams_.serve();
}

void Service::take(http::Received received, const http::RouteMatch& found) {
    if (auto response = plain_answer(received.request, found)) return answer(received, *std::move(response));
    if (found.route->kind == http::RouteKind::kEvents) {
        if (auto response = streams_.begin(received, found)) answer(received, *std::move(response));
        return;
    }
    if (found.route->kind == http::RouteKind::kIngest) {
        unconfirmed_.push_back(run_command(std::move(received), found));
        return;
    }
    if (received.request.target.find("fresh") != nullptr) {
        waiting_.push_back({std::move(received), found, runtime::steady_time() + timeout()});
        return;
    }
    http::Response response = answer_of(received.request, found);
    answer(received, std::move(response));
}

http::Response Service::answer_of(const http::Request& request, const http::RouteMatch& found) {
    return response_or_problem([&] {
        if (found.route->kind == http::RouteKind::kHealth) return health_of(request);
        return query_of(request, found);
    });
}

http::Response Service::query_of(const http::Request& request, const http::RouteMatch& found) {
    const http::Route& route = *found.route;
    const char* statement = found.is_live ? route.live_statement : route.statement;
    if (statement == nullptr) {  // a device's statistics, natively
        http::Response response = devices_.answer(request, *found.values[0]);
        devices_.close();
        return response;
    }
    return read_as_caller(request, [&](const Caller& caller) {
        QueryAnswer answer = query(caller, statement, bind(route, found));
        if (!answer.body)
            return http::response_of({.status = 404, .detail = "There is no such thing, or nothing is known of it yet."});
        http::Response response;
        response.content_type = route.content_type;
        response.body = *std::move(answer.body);
        if (route.content_type == "application/json") response.body += '\n';
        http::add_validators(response, request, answer.as_of);
        return response;
    });
}

// Anybody may know the state, and it is found out once in two seconds, or less often where that takes long. Its failure is
// kept as long. The items are for roles that may call telemetry.health().
http::Response Service::health_of(const http::Request& request) {
    if (!request.authorization.empty()) {
        try {
            return read_as_caller(request, [](const Caller& caller) {
                const CommandRow health = command(caller, kHealth, {});
                return health_response(*health.columns[0], health.columns[1]);
            });
        } catch (const postgres::PgError& error) {
            if (error.sqlstate() != ERRCODE_INSUFFICIENT_PRIVILEGE) throw;
        }
    }
    const SteadyTime begin = runtime::steady_time();
    if (begin < health_until_) return health_;
    health_ = response_or_problem([] {
        BoundedTransaction transaction;
        const std::string state = *command({runtime::installed().owner}, kHealth, {}).columns[0];
        transaction.commit();
        return health_response(state, std::nullopt);
    });
    const SteadyTime end = runtime::steady_time();
    health_until_ = end + std::max(kHealthLasts, kHealthRests * (end - begin));
    return health_;
}

// Nothing: the client waits on.
std::optional<http::Response> Service::waited(const Waiting& waiting) {
    const std::string token = *waiting.received.request.target.find("fresh");
    const std::string projection(waiting.found.route->projection);
    std::string state;
    http::Response refusal = read_as_caller(waiting.received.request, [&](const Caller& caller) {
        const BoundText parameters[] = {{http::ParameterType::kText, token}, {http::ParameterType::kText, projection}};
        state = command(caller, kWaitFor, parameters).columns[0].value_or("");
        return http::Response{};
    });
    if (state == "applied") return answer_of(waiting.received.request, waiting.found);
    if (state == "rolled back")
        return http::response_of(
            {.status = 409, .detail = "The transaction of the token was rolled back.", .hint = "Send its readings again."});
    if (state.empty()) return refusal;
    if (runtime::steady_time() < waiting.deadline) return std::nullopt;
    return http::response_of({.status = 503,
                              .detail = "The statistics do not have that write yet.",
                              .hint = "Try again, or ask with live=true and without fresh.",
                              .sqlstate = "TC103",
                              .retry_after = 1});
}

// Rests four times as long as a look has taken. So a thousand clients that wait keep no other one waiting for long.
void Service::look_at_waiting() {
    if (waiting_.empty()) return;
    const SteadyTime begin = runtime::steady_time();
    std::vector<Waiting> still;
    for (Waiting& each : std::exchange(waiting_, {})) {
        if (!server_.is_open(each.received.from)) continue;
        std::optional<http::Response> response;
        try {
            response = waited(each);
        } catch (...) {
            response = http::response_of(problem_of(postgres::describe_current_exception()));
        }
        if (response)
            answer(each.received, *std::move(response));
        else
            still.push_back(std::move(each));
    }
    waiting_ = std::move(still);
    const SteadyTime end = runtime::steady_time();
    look_at_waiting_at_ = end + 4 * (end - begin);
}

void Service::look_at_commits() {
    if (unconfirmed_.empty()) return;
    flush_commits(unconfirmed_);
    const SteadyTime now = runtime::steady_time();
    std::vector<UnconfirmedCommand> still;
    for (UnconfirmedCommand& each : std::exchange(unconfirmed_, {})) {
        if (is_replicated(each)) {
            answer(each.received, std::move(each.response));
        } else if (now >= each.deadline) {
            answer(
                each.received,
                http::response_of({.status = 503,
                                   .detail = "The readings are stored here, but no synchronous standby has confirmed them yet.",
                                   .hint = "Send the same request again: with idempotency keys it is a duplicate.",
                                   .retry_after = 1}));
        } else {
            still.push_back(std::move(each));
        }
    }
    unconfirmed_ = std::move(still);
    look_at_commits_at_ = now + kBetweenLooksAtStandbys;
}

SteadyTime Service::due_at() const noexcept {
    SteadyTime due = streams_.due_at();
    if (!waiting_.empty())
        due = std::min(
            due, owes_look_ ? look_at_waiting_at_ : std::max(look_at_waiting_at_, runtime::steady_time() + kBetweenLooks));
    if (!unconfirmed_.empty()) due = std::min(due, look_at_commits_at_);
    return due;
}

}  // namespace api
