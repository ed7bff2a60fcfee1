// Looks a token up by its hash.
#include "api/caller.hpp"

#include <optional>
#include <string_view>

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/text.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

constexpr int kRole = 1, kExpiresAt = 5;  // columns of http_token, from 0
constexpr int kTokenColumns = 6;
constexpr std::size_t kLongestToken = 200;

// P. InvalidOid: there is no such role, or it is a superuser.
Oid find_role(const char* name) {
    const Oid role = get_role_oid(name, true);
    return OidIsValid(role) && !superuser_arg(role) ? role : InvalidOid;
}

// P. As telemetry.create_http_token() computes it.
Datum hash_of_token(std::string_view token) {
    const Datum digest = DirectFunctionCall1(sha256_bytea, postgres::bytea_datum(token));
    return DirectFunctionCall2(binary_encode, digest, postgres::text_datum(std::string_view("hex")));
}

// P.
Oid role_of_token(std::string_view token) {
    postgres::KeyLookup lookup{};
    postgres::open_lookup(lookup, postgres::require_relation("http_token"), kTokenColumns, GetActiveSnapshot(),
                          AccessShareLock);
    const Datum hash = hash_of_token(token);
    Oid role = InvalidOid;
    if (postgres::find_row(lookup, &hash)) {
        const TupleTableSlot* row = lookup.found;
        const bool is_expired =
            !row->tts_isnull[kExpiresAt] && DatumGetTimestampTz(row->tts_values[kExpiresAt]) <= GetCurrentTimestamp();
        if (!is_expired) role = find_role(postgres::c_string_of(row->tts_values[kRole]));
    }
    postgres::close_lookup(lookup);
    return role;
}

// Nothing: the field is no bearer token (RFC 6750).
std::optional<std::string_view> token_of(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer ";
    if (authorization.size() <= kScheme.size() || authorization.size() > kScheme.size() + kLongestToken) return std::nullopt;
    for (std::size_t i = 0; i < kScheme.size(); ++i)
        if ((i + 1 < kScheme.size() ? authorization[i] | 0x20 : authorization[i]) != kScheme[i]) return std::nullopt;
    std::string_view token = authorization.substr(kScheme.size());
    while (token.starts_with(' ')) token.remove_prefix(1);
    return token;
}

http::Problem unauthorized(const char* detail) {
    return {.status = 401,
            .detail = detail,
            .hint = "Send \"Authorization: Bearer \" and a token that telemetry.create_http_token() made."};
}

}  // namespace

std::variant<Caller, http::Problem> find_caller(const std::string& authorization) {
    if (authorization.empty()) {
        const char* name = runtime::settings().http_anonymous_role;
        if (!runtime::is_set(name)) return unauthorized("The request has no token.");
        const Oid role = postgres::guarded([name] { return find_role(name); });
        if (OidIsValid(role)) return Caller{role};
        return http::Problem{.status = 503, .detail = "telemetry_cqrs.http_anonymous_role names no role, or a superuser."};
    }
    const auto token = token_of(authorization);
    if (!token) return unauthorized("The field Authorization has no bearer token.");
    const Oid role = postgres::guarded([&token] { return role_of_token(*token); });
    if (!OidIsValid(role)) return unauthorized("The token is not known, has expired, or its role is gone.");
    return Caller{role};
}

bool may_read(const Caller& caller, const char* view) {
    return postgres::guarded([&caller, view] {
        const Oid schema = postgres::require_schema();
        return postgres::may_use_schema(caller.role, schema) &&
               pg_class_aclcheck(postgres::require_relation(view), caller.role, ACL_SELECT) == ACLCHECK_OK;
    });
}

}  // namespace api
