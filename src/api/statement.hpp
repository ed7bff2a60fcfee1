// Runs a statement as the role of a client of HTTP. All texts are in UTF-8.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/caller.hpp"
#include "http/problem.hpp"
#include "http/response.hpp"
#include "http/route.hpp"
#include "model/identifiers.hpp"
#include "postgres/error.hpp"

namespace api {

struct BoundText {
    http::ParameterType type;
    std::optional<std::string> value;  // nothing: NULL
};

// The answer of a query: a row (text, timestamptz).
struct QueryAnswer {
    std::optional<std::string> body;     // nothing: no row, or NULL
    std::optional<model::Micros> as_of;  // nothing: not known
};

// Each of these runs in a bounded transaction, under the active snapshot. They throw PgError and Error.
QueryAnswer query(const Caller& caller, const char* statement, std::span<const BoundText> parameters);

// Runs a command that returns one row, and gives its columns as their types print them. The row may be missing: no column.
inline constexpr int kMostColumns = 12;
struct CommandRow {
    std::optional<std::string> columns[kMostColumns];
};
CommandRow command(const Caller& caller, const char* statement, std::span<const BoundText> parameters);

// The words of an error for a client. No transaction is open: one that failed cannot convert texts.
http::Problem problem_of(const postgres::ErrorReport& report);

// Runs `body`, which returns a response and leaves no transaction open. An error becomes the response.
template <typename Body>
http::Response response_or_problem(Body body) {
    postgres::ErrorReport error;
    try {
        return body();
    } catch (...) {
        error = postgres::describe_current_exception();
    }
    return http::response_of(problem_of(error));
}

}  // namespace api
