// Answers of HTTP on the wire, their validators, problems, routes, and bodies of commands.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "http/cross_origin.hpp"
#include "http/gzip.hpp"
#include "http/ingest_body.hpp"
#include "http/problem.hpp"
#include "http/response.hpp"
#include "http/route.hpp"
#include "http/validators.hpp"

namespace {

http::Request get(std::string_view target, http::Method method = http::Method::kGet) {
    http::Request request;
    request.method = method;
    request.target = *http::parse_target(target);
    return request;
}

http::Response text_response(std::string body) {
    http::Response response;
    response.content_type = "text/plain";
    response.body = std::move(body);
    return response;
}

std::string field_of(const http::Response& response, std::string_view name) {
    for (const auto& [each, value] : response.headers)
        if (each == name) return value;
    return "(none)";
}

TEST(Response, HasTheFormOfTheWire) {
    EXPECT_EQ(http::wire_form(text_response("abc"), {}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_EQ(http::wire_form(text_response("abc"), {.is_head = true}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(http::wire_form(text_response(""), {.keeps_alive = false, .is_stream = true}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    http::Response none;
    none.status = 304;
    EXPECT_EQ(http::wire_form(none, {}), "HTTP/1.1 304 Not Modified\r\n\r\n");
    std::string chunks;
    http::append_chunk(chunks, std::string(17, 'x'));
    http::append_chunk(chunks, "");
    EXPECT_EQ(chunks, "11\r\n" + std::string(17, 'x') + "\r\n0\r\n\r\n");
}

TEST(Response, NoValueBeginsAnotherField) {
    http::Response response = text_response("");
    response.with("Allow", "a\r\nSet-Cookie: b");
    EXPECT_EQ(http::wire_form(response, {}).find("\r\nSet-Cookie"), std::string::npos);
}

TEST(Validators, GiveA304ToAClientThatHasTheAnswer) {
    http::Response first = text_response("abc");
    http::add_validators(first, get("/"), 1'000'000);
    const std::string tag = field_of(first, "ETag");
    EXPECT_EQ(field_of(first, "As-Of"), "2000-01-01T00:00:01.000000Z");
    http::Request again = get("/");
    again.if_none_match = "\"other\", W/" + tag;
    http::Response second = text_response("abc");
    http::add_validators(second, again, std::nullopt);
    EXPECT_EQ(second.status, 304);
    EXPECT_EQ(second.body, "");
    EXPECT_EQ(field_of(second, "As-Of"), "(none)");
    http::Response changed = text_response("abd");
    http::add_validators(changed, again, std::nullopt);
    EXPECT_EQ(changed.status, 200);
}

TEST(Problem, HasTheMembersOfTheStandard) {
    const http::Response response =
        http::response_of({.status = 429, .detail = "a \"quota\"", .hint = "wait", .sqlstate = "TC104", .retry_after = 3});
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_EQ(response.body,
              "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,\"detail\":\"a "
              "\\\"quota\\\"\",\"hint\":\"wait\","
              "\"sqlstate\":\"TC104\"}\n");
    EXPECT_EQ(field_of(response, "Retry-After"), "3");
}

TEST(Problem, KnowsTheStatusOfEachSqlstate) {
    const auto is = [](const char* sqlstate, int status, bool tries_again) {
        const http::SqlStatus found = http::status_of(sqlstate);
        EXPECT_EQ(found.status, status) << sqlstate;
        EXPECT_EQ(found.tries_again, tries_again) << sqlstate;
    };
    is("TC001", 422, false), is("TC008", 422, false), is("TC012", 422, false), is("TC013", 422, false);
    is("TC009", 409, false), is("TC010", 400, false), is("TC011", 413, false), is("TC104", 429, true);
    is("TC101", 503, true), is("TC103", 503, true), is("TC105", 503, true), is("TC203", 404, false);
    is("22007", 400, false), is("42501", 403, false), is("25006", 503, true), is("40P01", 503, true), is("55P03", 503, true);
    is("53100", 503, true), is("57014", 503, true), is("XX000", 500, false), is("42P01", 500, false);
}

TEST(Gzip, UnpacksWhatItPacks) {
    const std::string text(300'000, 'a');
    std::string unpacked;
    EXPECT_EQ(http::unpack(http::pack(text), text.size(), unpacked), http::UnpackFlaw::kNone);
    EXPECT_EQ(unpacked, text);
    EXPECT_EQ(http::unpack(http::pack(text) + http::pack("b"), text.size() + 1, unpacked), http::UnpackFlaw::kNone);
    EXPECT_EQ(unpacked, text + "b");
    EXPECT_EQ(http::unpack(http::pack(text), text.size() - 1, unpacked), http::UnpackFlaw::kTooLarge);
    for (const std::string& broken :
         {std::string(), std::string("no gzip"), http::pack(text).substr(0, 20), http::pack("x") + "y"})
        EXPECT_EQ(http::unpack(broken, 1000, unpacked), http::UnpackFlaw::kBroken) << broken.size();
}

http::Request post(std::string body, std::string type = "application/json") {
    http::Request request = get("/telemetry", http::Method::kPost);
    request.content_type = std::move(type);
    request.body = std::move(body);
    return request;
}

std::string json_of(const http::Request& request) {
    auto body = http::ingest_body(request, 1000);
    const auto* found = std::get_if<http::IngestBody>(&body);
    return found != nullptr ? (found->is_single ? "one " : "list ") + found->json
                            : "status " + std::to_string(std::get<1>(body).status);
}

TEST(IngestBody, TellsOneObjectFromAList) {
    EXPECT_EQ(json_of(post(" {\"a\":1}\n")), "one {\"a\":1}");
    EXPECT_EQ(json_of(post("[{}]", "Application/JSON; charset=utf-8")), "list [{}]");
    EXPECT_EQ(json_of(post("no json")), "list no json") << "the door says what is wrong";
    EXPECT_EQ(json_of(post("{}", "text/plain")), "status 415") << "a form of another site can send that";
    EXPECT_EQ(json_of(post("{}", "")), "status 415");
}

TEST(IngestBody, MakesAnItemOfEachLine) {
    EXPECT_EQ(json_of(post("{\"a\":1}\r\n\n {\"b\":2}", "application/x-ndjson")), "list [{\"a\":1},{\"b\":2}]");
    EXPECT_EQ(json_of(post("", "application/x-ndjson")), "list []");
    // A broken line takes no other one along.
    EXPECT_EQ(json_of(post("{\"a\":\"}\n{\"b\":2}\n[3]\n{\"c\":4},{\"d\":5}", "application/x-ndjson")),
              "list [\"{\\\"a\\\":\\\"}\",{\"b\":2},\"[3]\",\"{\\\"c\\\":4},{\\\"d\\\":5}\"]");
}

TEST(IngestBody, PutsTheKeyOfTheFieldIntoTheObject) {
    const auto with_key = [](std::string body, std::string key) {
        http::Request request = post(std::move(body));
        request.has_idempotency_key = true;
        request.idempotency_key = std::move(key);
        return json_of(request);
    };
    EXPECT_EQ(with_key("{\"a\":1}", "k"), "one {\"idempotency_key\":\"k\",\"a\":1}");
    EXPECT_EQ(with_key("{ }", "\"k \\\" \\\\\""), "one {\"idempotency_key\":\"k \\\" \\\\\" }");
    EXPECT_EQ(with_key("{}", "\"k"), "status 400");
    EXPECT_EQ(with_key("[]", "k"), "status 400");
}

TEST(IngestBody, UnpacksWithinTheLimit) {
    http::Request request = post(http::pack("{\"a\":1}"));
    request.content_encoding = "GZIP";
    EXPECT_EQ(json_of(request), "one {\"a\":1}");
    request.body = http::pack(std::string(100'000, ' '));
    EXPECT_EQ(json_of(request), "status 413");
    request.body = "broken";
    EXPECT_EQ(json_of(request), "status 400");
    request.content_encoding = "br";
    EXPECT_EQ(json_of(request), "status 415");
}

TEST(Router, FindsEachRoute) {
    for (const http::Route& route : http::routes()) {
        std::string path(route.path);
        if (const auto brace = path.find('{'); brace != path.npos) path.replace(brace, path.find('}') - brace + 1, "a%2Fb");
        if (!route.needs_one_of.empty()) path += "?device=a";
        const http::RouteMatch found = http::match(get(path, route.method));
        EXPECT_EQ(found.route, &route) << route.path;
        EXPECT_EQ(found.flaw, "") << route.path;
        EXPECT_EQ(found.values.size(), route.parameters.size()) << route.path;
        EXPECT_EQ(path.find("%2F") != path.npos, !found.values.empty() && found.values.front() == "a/b") << route.path;
        const bool is_get = route.method == http::Method::kGet;
        EXPECT_EQ(http::match(get(path, http::Method::kHead)).route, is_get ? &route : nullptr) << route.path;
    }
}

TEST(Router, TellsWhatIsWrong) {
    EXPECT_EQ(http::match(get("/nothing")).allowed, "");
    EXPECT_EQ(http::match(get("/devices/a/stats/b")).allowed, "");
    EXPECT_EQ(http::match(get("/devices/")).allowed, "");
    const http::RouteMatch other = http::match(get("/telemetry"));
    EXPECT_EQ(other.route, nullptr);
    EXPECT_EQ(other.allowed, "POST, OPTIONS");
    EXPECT_NE(http::match(get("/devices?limits=1")).flaw, "");
    EXPECT_NE(http::match(get("/devices?limit=1&limit=2")).flaw, "");
    EXPECT_NE(http::match(get("/series")).flaw, "");
    EXPECT_NE(http::match(get("/series?device=a&region=b")).flaw, "");
    EXPECT_NE(http::match(get("/status?live=true")).flaw, "");
    EXPECT_EQ(http::match(get("/regions?live=true&fresh=x")).flaw, "");
    EXPECT_TRUE(http::match(get("/regions?live=true")).is_live);
    EXPECT_FALSE(http::match(get("/regions?live=false")).is_live);
    for (const char* value : {"", "1", "TRUE", "yes"})
        EXPECT_NE(http::match(get((std::string("/regions?live=") + value).c_str())).flaw, "") << value;
    EXPECT_NE(http::match(get("/liveness?live=true")).flaw, "") << "it has no such answer";
}

TEST(Router, FillsInWhatIsNotGiven) {
    const http::RouteMatch found = http::match(get("/devices?after=x+y"));
    ASSERT_EQ(found.values.size(), 5u);
    EXPECT_EQ(found.values[0], "100");
    EXPECT_EQ(found.values[1], "x y");
    EXPECT_FALSE(found.values[2].has_value());
}

TEST(OpenApi, NamesEachRouteOnce) {
    const std::string description = http::open_api_description("1.0");
    std::set<std::string_view> paths;
    for (const http::Route& route : http::routes()) {
        EXPECT_TRUE(paths.insert(route.path).second) << route.path;
        EXPECT_NE(description.find("\"" + std::string(route.path) + "\":{\""), description.npos) << route.path;
    }
}

TEST(CrossOrigin, IsOffUnlessTheOriginIsAllowed) {
    const auto field = [](const std::string& origin, const char* setting) {
        http::Response response;
        http::allow_origin(response, origin, setting);
        return field_of(response, "Access-Control-Allow-Origin");
    };
    EXPECT_EQ(field("https://a", ""), "(none)");
    EXPECT_EQ(field("https://a", nullptr), "(none)");
    EXPECT_EQ(field("https://a", "https://b"), "(none)");
    EXPECT_EQ(field("", "*"), "(none)");
    EXPECT_EQ(field("https://a", "https://a"), "https://a");
    EXPECT_EQ(field("https://a", "*"), "https://a");
}

}  // namespace
