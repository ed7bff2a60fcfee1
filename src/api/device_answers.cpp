// Keeps the transaction, the open table, and what it has learned of callers.
#include "api/device_answers.hpp"

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "api/bounded_transaction.hpp"
#include "api/caller.hpp"
#include "api/statement.hpp"
#include "feed/standings.hpp"
#include "http/validators.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "query/freshness.hpp"
#include "read_model/device_reports.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

constexpr std::string_view kProjection = "device";
constexpr const char* kViews[] = {"device_stats", "device_metric_stats"};

http::Response refused(const http::Problem& problem) {
    return http::response_of(problem);
}

}  // namespace

struct DeviceAnswers::Reading {
    BoundedTransaction transaction;
    ::Snapshot snapshot = nullptr;
    std::optional<read_model::DeviceReports> reports;  // nothing: the projection has applied nothing yet
    std::optional<TimestampTz> as_of;
    std::map<std::string, std::optional<http::Problem>, std::less<>> callers;  // by the field Authorization; nothing: may read

    Reading() {
        snapshot = postgres::guarded([] { return GetActiveSnapshot(); });
        as_of = query::as_of(kProjection, snapshot);
        const feed::Cursor cursor = feed::standings_shown_by(snapshot).progress().cursor_of(kProjection);
        if (cursor.is_stored) reports.emplace(cursor.generation, snapshot);
    }

    const std::optional<http::Problem>& refusal_of(const std::string& authorization) {
        const auto known = callers.find(authorization);
        if (known != callers.end()) return known->second;
        return callers.emplace(authorization, judge(authorization)).first->second;
    }

    static std::optional<http::Problem> judge(const std::string& authorization) {
        const auto caller = find_caller(authorization);
        if (const auto* problem = std::get_if<http::Problem>(&caller)) return *problem;
        for (const char* view : kViews)
            if (!may_read(std::get<Caller>(caller), view))
                return http::Problem{.status = 403,
                                     .detail = "The role of the token may not read the statistics of devices.",
                                     .hint = "An administrator calls telemetry.grant_reader() for it.",
                                     .sqlstate = "42501"};
        return std::nullopt;
    }
};

DeviceAnswers::DeviceAnswers() = default;
DeviceAnswers::~DeviceAnswers() = default;

http::Response DeviceAnswers::answer(const http::Request& request, const std::string& device_id) {
    return response_or_problem([&] {
        try {
            if (!reading_) reading_ = std::make_unique<Reading>();
            return read(request, device_id);
        } catch (...) {
            reading_.reset();
            throw;
        }
    });
}

http::Response DeviceAnswers::read(const http::Request& request, const std::string& device_id) {
    if (const auto& problem = reading_->refusal_of(request.authorization)) return refused(*problem);
    http::Response response;
    response.content_type = "application/json";
    // Bytes that are no text of the database are the id of no device.
    const auto id = postgres::from_utf8(device_id);
    if (!id || !reading_->reports || !reading_->reports->append(response.body, *id, std::nullopt))
        return refused({.status = 404, .detail = "The device has no statistics: it is not known, or has sent nothing yet."});
    response.body += '\n';
    http::add_validators(response, request, reading_->as_of);
    return response;
}

void DeviceAnswers::close() {
    const auto ending = std::exchange(reading_, nullptr);
    if (!ending) return;
    try {
        if (ending->reports) ending->reports->close();
        ending->transaction.commit();
    } catch (const postgres::PgError&) {
        // The transaction has written nothing: its end by a rollback leaves the answers as right as they were.
    }
}

}  // namespace api
