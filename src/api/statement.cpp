// Brings parameters into the types and the encoding of the database, and results out of them.
#include "api/statement.hpp"

#include <algorithm>
#include <vector>

#include "api/bounded_transaction.hpp"
#include "error_codes.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/encoding.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "runtime/quotas.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

Oid oid_of(http::ParameterType type) noexcept {
    switch (type) {
        case http::ParameterType::kInteger:
            return INT4OID;
        case http::ParameterType::kTime:
            return TIMESTAMPTZOID;
        case http::ParameterType::kText:
            break;
    }
    return TEXTOID;
}

// Error(22021) for bytes that are no text of the database.
std::string to_database(const std::string& text) {
    if (text.find('\0') != text.npos)
        throw postgres::Error(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a text has a NUL", {}, "Send text without NUL.");
    // The conversion may not look at texts that need none.
    postgres::guarded([&text] { (void)pg_verify_mbstr(PG_UTF8, text.data(), static_cast<int>(text.size()), false); });
    auto converted = postgres::from_utf8(text);
    if (!converted)
        throw postgres::Error(ERRCODE_UNTRANSLATABLE_CHARACTER,
                              "a text has a character that the encoding of the database lacks");
    return *std::move(converted);
}

// The parameters of one statement.
class Parameters {
public:
    explicit Parameters(std::span<const BoundText> bound) : bound_(bound) {
        for (const BoundText& each : bound) texts_.push_back(each.value ? to_database(*each.value) : std::string());
    }

    postgres::Statement statement(postgres::SqlCommand kind, const char* text, bool sees_own_writes) const {
        postgres::Statement statement{kind, text, static_cast<int>(bound_.size()), {}, nullptr, sees_own_writes};
        for (std::size_t i = 0; i < bound_.size(); ++i) statement.parameter_types[i] = oid_of(bound_[i].type);
        return statement;
    }

    // P. Raises 22P02 and the like for a text that its type does not have.
    void put(Datum* values, char* nulls) const {
        for (std::size_t i = 0; i < bound_.size(); ++i) {
            nulls[i] = bound_[i].value ? ' ' : 'n';
            if (!bound_[i].value) continue;
            values[i] = value_of(oid_of(bound_[i].type), texts_[i]);
        }
    }

private:
    // P.
    static Datum value_of(Oid type, const std::string& text) {
        if (type == TEXTOID) return postgres::text_datum(std::string_view(text));
        Oid input = InvalidOid, parameter = InvalidOid;
        getTypeInputInfo(type, &input, &parameter);
        return OidInputFunctionCall(input, const_cast<char*>(text.c_str()), parameter, -1);
    }

    std::span<const BoundText> bound_;
    std::vector<std::string> texts_;
};

struct CString {
    const char* text;  // null: NULL
};

template <int kColumns>
struct RowTexts {
    bool is_found = false;
    int count = 0;
    CString texts[kColumns];
};

// P. The copies outlive the statements, and lie in the memory context that was current before.
template <int kColumns>
RowTexts<kColumns> run(const Caller& caller, const postgres::Statement& statement, const Parameters& parameters) {
    const postgres::ActingAs role(caller.role);
    return postgres::guarded([&] {
        const MemoryContext outer = CurrentMemoryContext;
        Datum values[postgres::kMostParameters];
        char nulls[postgres::kMostParameters];
        parameters.put(values, nulls);
        const postgres::StatementScope scope = postgres::open_statements();
        const postgres::StatementResult result = postgres::execute(statement, values, nulls);
        RowTexts<kColumns> row;
        row.is_found = result.row_count > 0;
        if (row.is_found) {
            row.count = Min(result.table->tupdesc->natts, kColumns);
            for (int i = 0; i < row.count; ++i) {
                const char* printed = postgres::printed_value_of(result, 0, i + 1);
                row.texts[i].text = printed == nullptr ? nullptr : MemoryContextStrdup(outer, printed);
            }
        }
        postgres::close_statements(scope);
        return row;
    });
}

// A client cannot mend an error that becomes 500. The log has at most one line a minute of them.
void log_failure(const postgres::ErrorReport& report) {
    static runtime::SteadyTime quiet_until = 0;
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < quiet_until) return;
    quiet_until = now + 60 * 1000 * 1000;
    postgres::guarded([&report] {
        ereport(LOG, (errcode(report.sqlstate), errmsg("a request of HTTP failed: %s", report.message.c_str()),
                      report.detail.empty() ? 0 : errdetail_internal("%s", report.detail.c_str()),
                      report.context.empty() ? 0 : errcontext("%s", report.context.c_str())));
    });
}

}  // namespace

QueryAnswer query(const Caller& caller, const char* statement, std::span<const BoundText> parameters) {
    const Parameters bound(parameters);
    const auto row = run<2>(caller, bound.statement(postgres::SqlCommand::kSelect, statement, false), bound);
    QueryAnswer answer;
    if (!row.is_found) return answer;
    if (row.texts[0].text != nullptr) answer.body = postgres::strict_utf8(row.texts[0].text);
    if (const char* as_of = row.count > 1 ? row.texts[1].text : nullptr)
        answer.as_of = postgres::guarded([as_of] {
            return DatumGetTimestampTz(
                DirectFunctionCall3(timestamptz_in, CStringGetDatum(as_of), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
        });
    return answer;
}

CommandRow command(const Caller& caller, const char* statement, std::span<const BoundText> parameters) {
    const Parameters bound(parameters);
    const auto row = run<kMostColumns>(caller, bound.statement(postgres::SqlCommand::kSelect, statement, true), bound);
    CommandRow found;
    for (int i = 0; i < row.count; ++i)
        if (row.texts[i].text != nullptr) found.columns[i] = postgres::strict_utf8(row.texts[i].text);
    return found;
}

http::Problem problem_of(const postgres::ErrorReport& report) {
    if (report.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || report.sqlstate == error_codes::kInProgress) note_wait_in_vain();
    http::Problem problem;
    char sqlstate[6] = "";
    strlcpy(sqlstate, unpack_sql_state(report.sqlstate), sizeof sqlstate);
    const http::SqlStatus status = http::status_of(sqlstate);
    problem.status = status.status;
    problem.sqlstate = sqlstate;
    // The conversion reads the catalogue.
    std::optional<postgres::Transaction> transaction;
    if (postgres::utf8_conversion() != nullptr) transaction.emplace();
    problem.detail = postgres::strict_utf8(report.message);
    if (!report.detail.empty()) problem.detail += ": " + postgres::strict_utf8(report.detail);
    problem.hint = postgres::strict_utf8(report.hint);
    if (transaction) transaction->commit();
    if (status.status == 500) log_failure(report);
    if (status.tries_again) problem.retry_after = 1;
    if (report.sqlstate == error_codes::kOverQuota || report.sqlstate == error_codes::kBackpressure)
        problem.retry_after = static_cast<int>((runtime::wait_after_refusal() + 999) / 1000);
    return problem;
}

}  // namespace api
