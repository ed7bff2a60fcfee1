// Copying the server's errors into storage of our own.
#include "postgres/error.hpp"

#include <new>

#include "postgres/pg.hpp"

namespace postgres::detail {
namespace {

ErrorFields::Text text_of(const char* source) {
    if (source == nullptr) return std::nullopt;
    return std::string(source);
}

// The server's copy of the pending error, in a context of its own that is returned (FreeErrorData would leave the copied file
// and function names behind); null when there is no memory for it.
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
    ErrorData* data = nullptr;
    MemoryContext context = copy_pending_error(data);
    FlushErrorState();
    if (context == nullptr) throw std::bad_alloc();
    ContextOwner owner{context};
    auto fields = std::make_shared<ErrorFields>();
    fields->elevel = data->elevel;
    fields->sqlstate = data->sqlerrcode;
    fields->output_to_server = data->output_to_server;
    fields->output_to_client = data->output_to_client;
    fields->hide_stmt = data->hide_stmt;
    fields->hide_ctx = data->hide_ctx;
    fields->lineno = data->lineno;
    fields->cursorpos = data->cursorpos;
    fields->internalpos = data->internalpos;
    fields->saved_errno = data->saved_errno;
    fields->filename = text_of(data->filename);
    fields->funcname = text_of(data->funcname);
    fields->domain = text_of(data->domain);
    fields->context_domain = text_of(data->context_domain);
    fields->message_id = text_of(data->message_id);
    fields->message = text_of(data->message);
    fields->detail = text_of(data->detail);
    fields->detail_log = text_of(data->detail_log);
    fields->hint = text_of(data->hint);
    fields->context = text_of(data->context);
    fields->backtrace = text_of(data->backtrace);
    fields->schema_name = text_of(data->schema_name);
    fields->table_name = text_of(data->table_name);
    fields->column_name = text_of(data->column_name);
    fields->datatype_name = text_of(data->datatype_name);
    fields->constraint_name = text_of(data->constraint_name);
    fields->internalquery = text_of(data->internalquery);
    throw PgError(std::move(fields));
}

}  // namespace postgres::detail
