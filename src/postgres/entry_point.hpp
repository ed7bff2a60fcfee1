// The gate from C++ back to the server. Each function that the server calls runs its body through `entry_point`.
//
// `entry_point` catches every exception of C++, leaves the catch block, destroys every C++ object and only then raises the
// server's error.
#pragma once

#include <type_traits>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

namespace detail {

// An error on its way from catch to ereport. It lies on the heap, and the gate owns it.
struct CaughtError;

// Copies the exception that is being handled, so only a catch block may call this. It never throws and never raises. Null:
// there is no memory.
CaughtError* capture_current_exception() noexcept;

// Raises `caught` as a server error (null: out of memory) and frees it. No C++ object may be alive in the frames that the error
// leaves.
[[noreturn]] void raise(CaughtError* caught);

}  // namespace detail

// Runs `body`, and raises an exception that it throws as an error of the server.
template <typename Body>
auto entry_point(Body&& body) -> std::invoke_result_t<Body&> {
    using Returned = std::invoke_result_t<Body&>;
    static_assert(std::is_void_v<Returned> || std::is_trivially_destructible_v<Returned>);
    detail::CaughtError* caught = nullptr;
    try {
        return body();
    } catch (...) {
        caught = detail::capture_current_exception();
    }
    detail::raise(caught);
}

}  // namespace postgres

// Declares and opens a C function that SQL can call: TELEMETRY_FUNCTION(name) { a body that has fcinfo and returns a Datum }
#define TELEMETRY_FUNCTION(name)                                                \
    extern "C" {                                                                \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                   \
    PG_FUNCTION_INFO_V1(name);                                                  \
    }                                                                           \
    static Datum name##_body(FunctionCallInfo fcinfo);                          \
    extern "C" Datum name(PG_FUNCTION_ARGS) {                                   \
        return postgres::entry_point([fcinfo] { return name##_body(fcinfo); }); \
    }                                                                           \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
