// The table of routes that the server answers. The router and the OpenAPI description read it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace http {

enum class RouteKind {
    kPage,         // the page for people
    kDescription,  // the OpenAPI description
    kHealth,       // telemetry.health(), for load balancers also without a token
    kDeviceStats,  // read natively; with live=true by the statement
    kQuery,        // a statement
    kEvents,       // the stream of events
    kIngest        // the command
};

enum class ParameterType { kText, kInteger, kTime };

struct RouteParameter {
    std::string_view name;
    ParameterType type;
    std::string_view description;
    std::string_view initially = {};  // what counts where it is not given; empty: NULL
    bool is_in_path = false;
};

// A statement has one parameter for each of the route, in order. It returns a row (body text, as_of timestamptz). No row, or no
// body: there is no such thing, 404. It runs as the role of the client.
struct Route {
    Method method;
    std::string_view path;  // "/devices/{device_id}/stats"
    RouteKind kind;
    std::string_view summary;  // a sentence
    std::span<const RouteParameter> parameters = {};
    const char* statement = nullptr;
    const char* live_statement = nullptr;  // for live=true; null: the parameter live is not known
    std::string_view content_type = "application/json";
    std::string_view needs_one_of = {};  // two names of parameters with a comma: exactly one must be given
    std::string_view projection = {};    // for which fresh waits; empty: the parameter fresh is not known
};

std::span<const Route> routes() noexcept;

struct RouteMatch {
    const Route* route = nullptr;  // null: no route has this path and method
    std::string allowed;           // the methods of the path, such as "GET, HEAD"; empty: no route has this path
    std::vector<std::optional<std::string>> values;  // of the parameters
    bool is_live = false;                            // live=true is given
    std::string flaw;                                // of the parameters, as a sentence; empty: none
};

// Finds the route, and its parameters in path and query.
RouteMatch match(const Request& request);

// A JSON document that describes the routes (OpenAPI 3.1).
std::string open_api_description(std::string_view version);

}  // namespace http
