// Turns a caught C++ exception into an error of the server.
#include "postgres/entry_point.hpp"

#include <new>
#include <string>

#include "postgres/pg.hpp"

namespace postgres::detail {

struct CaughtError {
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

// Null: there is no text, or there is no memory for it. In the second case `is_out_of_memory` becomes true.
char* copy_text(const ErrorFields::Text& text, bool& is_out_of_memory) noexcept {
    if (!text || is_out_of_memory) return nullptr;
    auto* copy =
        static_cast<char*>(MemoryContextAllocExtended(ErrorContext, text->size() + 1, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE));
    if (copy == nullptr) {
        is_out_of_memory = true;
        return nullptr;
    }
    memcpy(copy, text->c_str(), text->size() + 1);
    return copy;
}

// Fills in `error_data` from `fields`. False: there was no memory. The texts lie in ErrorContext, which lives until the error
// is reported or caught. The current context would not do: handlers on the way delete it, and ReThrowError keeps the pointers
// to the names of file and function.
bool rebuild(const ErrorFields& fields, ErrorData& error_data) noexcept {
    bool is_out_of_memory = false;
    error_data = ErrorData{};
    error_data.elevel = fields.elevel;
    error_data.output_to_server = fields.output_to_server;
    error_data.output_to_client = fields.output_to_client;
    error_data.sqlerrcode = fields.sqlstate;
    error_data.hide_stmt = fields.hide_stmt;
    error_data.hide_ctx = fields.hide_ctx;
    error_data.lineno = fields.lineno;
    error_data.cursorpos = fields.cursorpos;
    error_data.internalpos = fields.internalpos;
    error_data.saved_errno = fields.saved_errno;
    error_data.filename = copy_text(fields.filename, is_out_of_memory);
    error_data.funcname = copy_text(fields.funcname, is_out_of_memory);
    error_data.domain = copy_text(fields.domain, is_out_of_memory);
    error_data.context_domain = copy_text(fields.context_domain, is_out_of_memory);
    error_data.message_id = copy_text(fields.message_id, is_out_of_memory);
    error_data.message = copy_text(fields.message, is_out_of_memory);
    error_data.detail = copy_text(fields.detail, is_out_of_memory);
    error_data.detail_log = copy_text(fields.detail_log, is_out_of_memory);
    error_data.hint = copy_text(fields.hint, is_out_of_memory);
    error_data.context = copy_text(fields.context, is_out_of_memory);
    error_data.backtrace = copy_text(fields.backtrace, is_out_of_memory);
    error_data.schema_name = copy_text(fields.schema_name, is_out_of_memory);
    error_data.table_name = copy_text(fields.table_name, is_out_of_memory);
    error_data.column_name = copy_text(fields.column_name, is_out_of_memory);
    error_data.datatype_name = copy_text(fields.datatype_name, is_out_of_memory);
    error_data.constraint_name = copy_text(fields.constraint_name, is_out_of_memory);
    error_data.internalquery = copy_text(fields.internalquery, is_out_of_memory);
    error_data.assoc_context = ErrorContext;
    return !is_out_of_memory;
}

}  // namespace

CaughtError* capture_current_exception() noexcept {
    try {
        auto caught = std::make_unique<CaughtError>();
        try {
            throw;
        } catch (const PgError& error) {
            caught->fields = std::make_shared<ErrorFields>(error.fields());
        } catch (const Error& error) {
            caught->fields = fields_of(error);
        } catch (const std::bad_alloc&) {
            return nullptr;
        } catch (const std::exception& error) {
            caught->fields = internal_error(error.what());
        } catch (...) {
            caught->fields = internal_error("the exception is not derived from std::exception");
        }
        return caught.release();
    } catch (...) {
        return nullptr;
    }
}

void raise(CaughtError* caught) {
    if (caught != nullptr) {
        const bool is_from_server = caught->fields->filename.has_value();
        ErrorData error_data;
        const bool is_complete = rebuild(*caught->fields, error_data);
        delete caught;
        if (is_complete && is_from_server) {
            // ReThrowError keeps the context that the server gathered where it raised the error.
            ReThrowError(&error_data);
        }
        if (is_complete) {
            ereport(ERROR, (errcode(error_data.sqlerrcode), errmsg_internal("%s", error_data.message),
                            error_data.detail ? errdetail_internal("%s", error_data.detail) : 0,
                            error_data.hint ? errhint("%s", error_data.hint) : 0));
        }
    }
    ereport(ERROR,
            (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("The failure happened in telemetry_cqrs.")));
    pg_unreachable();
}

}  // namespace postgres::detail
