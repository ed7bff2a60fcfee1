// Copies the server's errors into storage of our own.
#include "postgres/error.hpp"

#include <new>

#include "postgres/pg.hpp"

namespace postgres::detail {
namespace {

ErrorFields::Text optional_string(const char* source) {
    if (source == nullptr) return std::nullopt;
    return std::string(source);
}

// Copies the pending error into a memory context of its own and returns that context; null when there is no memory for it. The
// caller deletes the context, because FreeErrorData would leave the copied names of file and function allocated.
MemoryContext copy_pending_error(ErrorData*& copy) noexcept {
    SavedStacks saved;
    sigjmp_buf here;
    MemoryContext volatile context = nullptr;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        context = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs caught error", ALLOCSET_SMALL_SIZES);
        MemoryContextSwitchTo(context);
        copy = CopyErrorData();
        saved.restore_memory_context();
        return context;
    }
    saved.restore_stacks();
    saved.restore_memory_context();
    if (context != nullptr) MemoryContextDelete(context);
    return nullptr;
}

struct ContextOwner {
    MemoryContext context;
    ~ContextOwner() { MemoryContextDelete(context); }
};

}  // namespace

void throw_pending_error() {
    ErrorData* error_data = nullptr;
    MemoryContext context = copy_pending_error(error_data);
    FlushErrorState();
    if (context == nullptr) throw std::bad_alloc();
    [[maybe_unused]] const ContextOwner owner{context};
    auto fields = std::make_shared<ErrorFields>();
    fields->elevel = error_data->elevel;
    fields->sqlstate = error_data->sqlerrcode;
    fields->output_to_server = error_data->output_to_server;
    fields->output_to_client = error_data->output_to_client;
    fields->hide_stmt = error_data->hide_stmt;
    fields->hide_ctx = error_data->hide_ctx;
    fields->lineno = error_data->lineno;
    fields->cursorpos = error_data->cursorpos;
    fields->internalpos = error_data->internalpos;
    fields->saved_errno = error_data->saved_errno;
    fields->filename = optional_string(error_data->filename);
    fields->funcname = optional_string(error_data->funcname);
    fields->domain = optional_string(error_data->domain);
    fields->context_domain = optional_string(error_data->context_domain);
    fields->message_id = optional_string(error_data->message_id);
    fields->message = optional_string(error_data->message);
    fields->detail = optional_string(error_data->detail);
    fields->detail_log = optional_string(error_data->detail_log);
    fields->hint = optional_string(error_data->hint);
    fields->context = optional_string(error_data->context);
    fields->backtrace = optional_string(error_data->backtrace);
    fields->schema_name = optional_string(error_data->schema_name);
    fields->table_name = optional_string(error_data->table_name);
    fields->column_name = optional_string(error_data->column_name);
    fields->datatype_name = optional_string(error_data->datatype_name);
    fields->constraint_name = optional_string(error_data->constraint_name);
    fields->internalquery = optional_string(error_data->internalquery);
    throw PgError(std::move(fields));
}

}  // namespace postgres::detail

namespace postgres {

ErrorReport describe_current_exception() noexcept {
    try {
        try {
            throw;
        } catch (const PgError& error) {
            const ErrorFields& fields = error.fields();
            return {fields.sqlstate, error.what(), fields.detail.value_or(""), fields.hint.value_or(""),
                    fields.context.value_or("")};
        } catch (const Error& error) {
            return {error.sqlstate(), error.message(), error.detail(), error.hint(), {}};
        } catch (const std::bad_alloc&) {
            return {ERRCODE_OUT_OF_MEMORY, "out of memory", {}, {}, {}};
        } catch (const std::exception& error) {
            return {ERRCODE_INTERNAL_ERROR, error.what(), {}, {}, {}};
        } catch (...) {
            return {ERRCODE_INTERNAL_ERROR, "the exception is not derived from std::exception", {}, {}, {}};
        }
    } catch (...) {
        ErrorReport unknown;
        unknown.sqlstate = ERRCODE_OUT_OF_MEMORY;
        return unknown;
    }
}

}  // namespace postgres
