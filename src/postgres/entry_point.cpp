// From a caught C++ exception to a raised server error.
#include "postgres/entry_point.hpp"

#include <new>
#include <string>

#include "postgres/pg.hpp"

namespace postgres::detail {

struct Failure {
    std::shared_ptr<const ErrorFields> fields;
};

namespace {

std::shared_ptr<const ErrorFields> internal_error(const char* text) {
    auto fields = std::make_shared<ErrorFields>();
    fields->elevel = ERROR;
    fields->sqlstate = ERRCODE_INTERNAL_ERROR;
    fields->message = std::string("unexpected C++ exception in telemetry_cqrs");
    fields->detail = std::string(text);
    return fields;
}

std::shared_ptr<const ErrorFields> fields_of(const Error& error) {
    auto fields = std::make_shared<ErrorFields>();
    fields->elevel = ERROR;
    fields->sqlstate = error.sqlstate();
    fields->message = error.message();
    if (!error.detail().empty()) fields->detail = error.detail();
    if (!error.hint().empty()) fields->hint = error.hint();
    return fields;
}

// Null where there is no text or, noted in `no_memory`, no memory for it.
char* copy_text(const ErrorFields::Text& text, bool& no_memory) noexcept {
    if (!text || no_memory) return nullptr;
    auto* copy =
        static_cast<char*>(MemoryContextAllocExtended(ErrorContext, text->size() + 1, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE));
    if (copy == nullptr) {
        no_memory = true;
        return nullptr;
    }
    memcpy(copy, text->c_str(), text->size() + 1);
    return copy;
}

// The ErrorData of `fields`; false when there was no memory. Its texts are in ErrorContext, which lives until the error is
// reported or caught: ReThrowError keeps the pointers to file and function name, and handlers on the way delete the context
// that is current now.
bool rebuild(const ErrorFields& fields, ErrorData& data) noexcept {
    bool no_memory = false;
    data = ErrorData{};
    data.elevel = fields.elevel;
    data.output_to_server = fields.output_to_server;
    data.output_to_client = fields.output_to_client;
    data.sqlerrcode = fields.sqlstate;
    data.hide_stmt = fields.hide_stmt;
    data.hide_ctx = fields.hide_ctx;
    data.lineno = fields.lineno;
    data.cursorpos = fields.cursorpos;
    data.internalpos = fields.internalpos;
    data.saved_errno = fields.saved_errno;
    data.filename = copy_text(fields.filename, no_memory);
    data.funcname = copy_text(fields.funcname, no_memory);
    data.domain = copy_text(fields.domain, no_memory);
    data.context_domain = copy_text(fields.context_domain, no_memory);
    data.message_id = copy_text(fields.message_id, no_memory);
    data.message = copy_text(fields.message, no_memory);
    data.detail = copy_text(fields.detail, no_memory);
    data.detail_log = copy_text(fields.detail_log, no_memory);
    data.hint = copy_text(fields.hint, no_memory);
    data.context = copy_text(fields.context, no_memory);
    data.backtrace = copy_text(fields.backtrace, no_memory);
    data.schema_name = copy_text(fields.schema_name, no_memory);
    data.table_name = copy_text(fields.table_name, no_memory);
    data.column_name = copy_text(fields.column_name, no_memory);
    data.datatype_name = copy_text(fields.datatype_name, no_memory);
    data.constraint_name = copy_text(fields.constraint_name, no_memory);
    data.internalquery = copy_text(fields.internalquery, no_memory);
    data.assoc_context = ErrorContext;
    return !no_memory;
}

}  // namespace

Failure* capture_current_exception() noexcept {
    try {
        auto failure = std::make_unique<Failure>();
        try {
            throw;
        } catch (const PgError& error) {
            failure->fields = std::make_shared<ErrorFields>(error.fields());
        } catch (const Error& error) {
            failure->fields = fields_of(error);
        } catch (const std::bad_alloc&) {
            return nullptr;
        } catch (const std::exception& error) {
            failure->fields = internal_error(error.what());
        } catch (...) {
            failure->fields = internal_error("the exception is not derived from std::exception");
        }
        return failure.release();
    } catch (...) {
        return nullptr;
    }
}

void raise(Failure* failure) {
    if (failure != nullptr) {
        const bool from_server = failure->fields->filename.has_value();
        ErrorData data;
        const bool complete = rebuild(*failure->fields, data);
        delete failure;
        if (complete && from_server) {
            // The context was gathered where the error was raised; ReThrowError leaves it as it is.
            ReThrowError(&data);
        }
        if (complete) {
            ereport(ERROR, (errcode(data.sqlerrcode), errmsg_internal("%s", data.message),
                            data.detail ? errdetail_internal("%s", data.detail) : 0, data.hint ? errhint("%s", data.hint) : 0));
        }
    }
    ereport(ERROR,
            (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("The failure happened in telemetry_cqrs.")));
    pg_unreachable();
}

}  // namespace postgres::detail
