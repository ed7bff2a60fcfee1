// The gate back: every place where the server calls us runs its body through `entry_point`.
//
// It catches whatever C++ throws, leaves the catch block, destroys every C++ object and only then raises the server's error.
#pragma once

#include <type_traits>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

namespace detail {

struct CaughtError;  // what was caught, on the heap, owned by the gate between catch and ereport

// Called inside a catch block only. Never throws, never raises: without memory it returns null, which means out of memory.
CaughtError* capture_current_exception() noexcept;

// Raises `caught` as a server error (null: out of memory) and frees it. Called with no C++ object left alive below it.
[[noreturn]] void raise(CaughtError* caught);

}  // namespace detail

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

// Declares and opens a SQL-callable C function: TELEMETRY_FUNCTION(name) { ...body with fcinfo, returns Datum... }
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
