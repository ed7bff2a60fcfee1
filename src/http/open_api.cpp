// Writes the description of the routes (OpenAPI 3.1). It describes for each answer only what all routes share.
#include "http/route.hpp"
#include "model/json_text.hpp"

namespace http {
namespace {

class Writer {
public:
    void member(std::string_view name, std::string_view text) {
        key(name);
        model::append_json_string(json_, text);
    }
    void flag(std::string_view name, bool value) {
        key(name);
        json_ += value ? "true" : "false";
    }
    void open(std::string_view name, char bracket = '{') {
        key(name);
        begin(bracket);
    }
    void open(char bracket = '{') {
        separate();
        begin(bracket);
    }
    void close(char bracket = '}') {
        json_ += bracket;
        is_first_ = false;
    }
    std::string take() { return std::move(json_); }

private:
    void separate() {
        if (!is_first_) json_ += ',';
        is_first_ = false;
    }
    void key(std::string_view name) {
        separate();
        model::append_json_string(json_, name);
        json_ += ':';
    }
    void begin(char bracket) {
        json_ += bracket;
        is_first_ = true;
    }

    std::string json_;
    bool is_first_ = true;
};

void write_parameter(Writer& writer, std::string_view name, std::string_view place, std::string_view description,
                     ParameterType type, std::string_view initially) {
    writer.open();
    writer.member("name", name);
    writer.member("in", place);
    writer.flag("required", place == "path");
    writer.member("description", description);
    writer.open("schema");
    writer.member("type", type == ParameterType::kInteger ? "integer" : "string");
    if (type == ParameterType::kTime) writer.member("format", "date-time");
    if (!initially.empty() && type != ParameterType::kInteger) writer.member("default", initially);
    writer.close();
    writer.close();
}

void write_answer(Writer& writer, std::string_view status, std::string_view description, std::string_view content_type) {
    writer.open(status);
    writer.member("description", description);
    if (!content_type.empty()) {
        writer.open("content");
        writer.open(content_type);
        writer.close();
        writer.close();
    }
    writer.close();
}

void write_answers(Writer& writer, const Route& route) {
    constexpr std::string_view kProblem = "application/problem+json";
    writer.open("responses");
    write_answer(writer, "200", route.summary, route.content_type);
    if (route.kind == RouteKind::kIngest) {
        write_answer(writer, "202", "A policy keeps the single reading in the quarantine.", "application/json");
        write_answer(writer, "207", "Some readings of a list were not accepted; verdicts says which, and why.",
                     "application/json");
        write_answer(writer, "409", "The idempotency key was used for another reading.", kProblem);
        write_answer(writer, "413", "The body or the list is too large.", kProblem);
        write_answer(writer, "415", "The body is of a type or coding that is not known.", kProblem);
        write_answer(writer, "422", "The reading is refused; sqlstate and detail say why.", kProblem);
        write_answer(writer, "429", "A quota is used up; Retry-After says when to send the same again.", kProblem);
    }
    if (route.statement != nullptr || route.kind == RouteKind::kDeviceStats) {
        write_answer(writer, "304", "The client has this answer (If-None-Match).", {});
        write_answer(writer, "404", "There is no such thing.", kProblem);
    }
    if (route.kind != RouteKind::kPage && route.kind != RouteKind::kDescription) {
        write_answer(writer, "400", "The request is malformed.", kProblem);
        write_answer(writer, "401", "The token is missing or of no use.", kProblem);
        write_answer(writer, "403", "The role of the token lacks the right.", kProblem);
        write_answer(writer, "503", "Not now; Retry-After says when to try again.", kProblem);
    }
    writer.close();
}

void write_route(Writer& writer, const Route& route) {
    writer.open(route.method == Method::kPost ? "post" : "get");
    writer.member("summary", route.summary);
    writer.open("parameters", '[');
    for (const RouteParameter& each : route.parameters)
        write_parameter(writer, each.name, each.is_in_path ? "path" : "query", each.description, each.type, each.initially);
    if (!route.projection.empty())
        write_parameter(writer, "fresh", "query", "The token of a receipt: the answer waits until it has that write.",
                        ParameterType::kText, {});
    if (route.live_statement != nullptr)
        write_parameter(writer, "live", "query", "true: the answer also has what is not applied yet.", ParameterType::kText,
                        "false");
    if (route.kind == RouteKind::kEvents)
        write_parameter(writer, "Last-Event-ID", "header", "The stream goes on after this event.", ParameterType::kText, {});
    if (route.kind == RouteKind::kIngest)
        write_parameter(writer, "Idempotency-Key", "header", "The key of a single reading.", ParameterType::kText, {});
    writer.close(']');
    if (route.kind == RouteKind::kIngest) {
        writer.open("requestBody");
        writer.flag("required", true);
        writer.open("content");
        for (const std::string_view type : {"application/json", "application/x-ndjson"}) {
            writer.open(type);
            writer.close();
        }
        writer.close();
        writer.close();
    }
    write_answers(writer, route);
    if (route.kind == RouteKind::kPage || route.kind == RouteKind::kDescription || route.kind == RouteKind::kHealth) {
        writer.open("security", '[');
        writer.close(']');
    }
    writer.close();
}

}  // namespace

std::string open_api_description(std::string_view version) {
    Writer writer;
    writer.open();
    writer.member("openapi", "3.1.0");
    writer.open("info");
    writer.member("title", "telemetry_cqrs");
    writer.member("version", version);
    writer.member("description", "Readings of devices, and what is known of them. Errors are problem details (RFC 9457).");
    writer.close();
    writer.open("paths");
    for (const Route& route : routes()) {
        writer.open(route.path);
        write_route(writer, route);
        writer.close();
    }
    writer.close();
    writer.open("components");
    writer.open("securitySchemes");
    writer.open("token");
    writer.member("type", "http");
    writer.member("scheme", "bearer");
    writer.close();
    writer.close();
    writer.close();
    writer.open("security", '[');
    writer.open();
    writer.open("token", '[');
    writer.close(']');
    writer.close();
    writer.close(']');
    writer.close();
    return writer.take();
}

}  // namespace http
