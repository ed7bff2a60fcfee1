// Compares the path segment by segment.
#include <algorithm>

#include "http/route.hpp"

namespace http {
namespace {

constexpr std::string_view kLive = "live";

std::string_view next_segment(std::string_view& path) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    return segment;
}

bool is_placeholder(std::string_view segment) noexcept {
    return segment.starts_with('{');
}

// The segments that stand for parameters, in order. Nothing: the path is another one.
std::optional<std::vector<std::string>> segments_of(const Route& route, const std::vector<std::string>& path) {
    std::vector<std::string> values;
    std::string_view rest = route.path == "/" ? std::string_view() : route.path;
    for (const std::string& segment : path) {
        if (rest.empty()) return std::nullopt;
        const std::string_view expected = next_segment(rest);
        if (is_placeholder(expected))
            values.push_back(segment);
        else if (segment != expected)
            return std::nullopt;
    }
    if (!rest.empty()) return std::nullopt;
    return values;
}

const char* name_of(Method method) noexcept {
    return method == Method::kPost ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

bool is_known(const Route& route, std::string_view name) {
    if (!route.projection.empty() && name == "fresh") return true;
    if (route.live_statement != nullptr && name == kLive) return true;
    return std::ranges::any_of(route.parameters,
                               [name](const RouteParameter& each) { return each.name == name && !each.is_in_path; });
}

void take_parameters(const Target& target, RouteMatch& found) {
    const Route& route = *found.route;
    for (const auto& [name, value] : target.parameters) {
        if (!is_known(route, name)) {
            found.flaw = "There is no parameter \"" + name + "\".";
            return;
        }
        if (std::ranges::count(target.parameters, name, &std::pair<std::string, std::string>::first) > 1) {
            found.flaw = "Parameter \"" + name + "\" is given twice.";
            return;
        }
    }
    if (const std::string* live = target.find(kLive)) {
        found.is_live = *live == "true";
        if (!found.is_live && *live != "false") found.flaw = "Parameter \"live\" is neither true nor false.";
    }
    for (const RouteParameter& parameter : route.parameters) {
        if (parameter.is_in_path) continue;
        const std::string* given = target.find(parameter.name);
        if (given != nullptr)
            found.values.emplace_back(*given);
        else if (!parameter.initially.empty())
            found.values.emplace_back(std::string(parameter.initially));
        else
            found.values.emplace_back();
    }
    if (route.needs_one_of.empty()) return;
    const auto comma = route.needs_one_of.find(',');
    const std::string one(route.needs_one_of.substr(0, comma)), other(route.needs_one_of.substr(comma + 1));
    if ((target.find(one) == nullptr) == (target.find(other) == nullptr))
        found.flaw = "Give exactly one of the parameters \"" + one + "\" and \"" + other + "\".";
}

}  // namespace

RouteMatch match(const Request& request) {
    RouteMatch found;
    const Method method = request.method == Method::kHead ? Method::kGet : request.method;
    for (const Route& route : routes()) {
        const auto segments = segments_of(route, request.target.path);
        if (!segments) continue;
        found.allowed = name_of(route.method);
        if (route.method != method) continue;
        found.route = &route;
        for (const std::string& segment : *segments) found.values.emplace_back(segment);
        take_parameters(request.target, found);
        return found;
    }
    return found;
}

}  // namespace http
