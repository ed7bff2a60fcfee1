// The members are those of RFC 9457, and two of our own: hint and sqlstate.
#include "http/problem.hpp"

#include <utility>

#include "model/json_text.hpp"

namespace http {

Response response_of(const Problem& problem) {
    Response response;
    response.status = problem.status;
    response.content_type = "application/problem+json";
    std::string& json = response.body;
    json = "{\"type\":\"about:blank\",\"title\":";
    model::append_json_string(json, reason_of(problem.status));
    json += ",\"status\":" + std::to_string(problem.status);
    for (const auto& [name, value] :
         {std::pair("detail", std::string_view(problem.detail)), std::pair("hint", std::string_view(problem.hint)),
          std::pair("sqlstate", std::string_view(problem.sqlstate))}) {
        if (value.empty()) continue;
        json.append(",\"").append(name).append("\":");
        model::append_json_string(json, value);
    }
    json += "}\n";
    if (problem.retry_after > 0) response.with("Retry-After", std::to_string(problem.retry_after));
    return response;
}

SqlStatus status_of(std::string_view sqlstate) noexcept {
    constexpr std::pair<std::string_view, SqlStatus> kStatuses[] = {
        {"TC009", {409, false}},  // conflict
        {"TC010", {400, false}},  // no list of readings
        {"TC011", {413, false}},  // too many readings
        {"TC0", {422, false}},    // a reading that is refused
        {"TC102", {409, false}},  // a wait for one's own transaction
        {"TC104", {429, true}},   // quota
        {"TC1", {503, true}},     // later: a rival, stale statistics, back-pressure
        {"TC203", {404, false}},  // no such batch
        {"22", {400, false}},     // a value that its type does not have
        {"42501", {403, false}},  // no right
        {"25006", {503, true}},   // read-only
        {"40", {503, true}},      // deadlock, serialisation
        {"55P03", {503, true}},   // a lock was not to be had in time
        {"53", {503, true}},      // memory, disk, connections
        {"57", {503, true}},      // cancelled, shutting down
        {"23", {422, false}},     // a constraint that a DBA added
        {"P0001", {422, false}},  // an error that a trigger of a DBA raised
    };
    for (const auto& [prefix, status] : kStatuses)
        if (sqlstate.starts_with(prefix)) return status;
    return {500, false};
}

}  // namespace http
