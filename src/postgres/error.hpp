// The two exceptions of this codebase, and the gate that turns the server's errors (longjmp) into them.
//
// `guarded` runs a block of server calls. It turns an ereport(ERROR) into a PgError, which carries every field of the error.
// The block holds C types, trivially destructible locals and C calls only. `guarded` restores the server's stacks on every way
// out.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "postgres/pg.hpp"

namespace postgres {

// A whole ErrorData in storage of our own. No memory context decides how long it lives.
struct ErrorFields {
    using Text = std::optional<std::string>;
    int elevel = 0;
    int sqlstate = 0;
    bool output_to_server = true;
    bool output_to_client = true;
    bool hide_stmt = false;
    bool hide_ctx = false;
    int lineno = 0;
    int cursorpos = 0;
    int internalpos = 0;
    int saved_errno = 0;
    Text filename, funcname, domain, context_domain, message_id;
    Text message, detail, detail_log, hint, context, backtrace;
    Text schema_name, table_name, column_name, datatype_name, constraint_name, internalquery;
};

// An error that the server raised, on its way through C++ frames.
class PgError : public std::exception {
public:
    explicit PgError(std::shared_ptr<const ErrorFields> fields) noexcept : fields_(std::move(fields)) {}
    const ErrorFields& fields() const noexcept { return *fields_; }
    int sqlstate() const noexcept { return fields_->sqlstate; }
    const char* what() const noexcept override { return fields_->message ? fields_->message->c_str() : "missing error text"; }

private:
    std::shared_ptr<const ErrorFields> fields_;
};

// An error of our own. Its message is lower-case and short. Its detail says what was seen, and its hint says what to do.
class Error : public std::exception {
public:
    Error(int sqlstate, std::string message, std::string detail = {}, std::string hint = {})
        : sqlstate_(sqlstate), message_(std::move(message)), detail_(std::move(detail)), hint_(std::move(hint)) {}
    int sqlstate() const noexcept { return sqlstate_; }
    const std::string& message() const noexcept { return message_; }
    const std::string& detail() const noexcept { return detail_; }
    const std::string& hint() const noexcept { return hint_; }
    const char* what() const noexcept override { return message_.c_str(); }

private:
    int sqlstate_;
    std::string message_, detail_, hint_;
};

// The words and the SQLSTATE of an exception, of ours or of the server.
struct ErrorReport {
    int sqlstate = 0;
    std::string message, detail, hint, context;
};

// Describes the exception that is being handled; only in a catch block. Without memory for the words it returns only an
// SQLSTATE.
ErrorReport describe_current_exception() noexcept;

namespace detail {

// Saves the server's stacks and the current memory context before a guarded block, because the block may change them. The
// destructor restores the stacks on every way out.
class SavedStacks {
public:
    SavedStacks() noexcept : exceptions_(PG_exception_stack), callbacks_(error_context_stack), memory_(CurrentMemoryContext) {}
    SavedStacks(const SavedStacks&) = delete;
    SavedStacks& operator=(const SavedStacks&) = delete;
    ~SavedStacks() { restore_stacks(); }
    void restore_stacks() const noexcept {
        PG_exception_stack = exceptions_;
        error_context_stack = callbacks_;
    }
    void restore_memory_context() const noexcept { MemoryContextSwitchTo(memory_); }

private:
    sigjmp_buf* exceptions_;
    ErrorContextCallback* callbacks_;
    MemoryContext memory_;
};

// Takes the pending error off the server's stack and throws it as a PgError, or throws std::bad_alloc when it cannot copy it.
[[noreturn]] void throw_pending_error();

}  // namespace detail

// Runs `body`, a block of server calls. Throws PgError for an ereport(ERROR) in it. When `body` returns, the memory context
// that it made current stays current. After an error the context from before `body` is current again.
template <typename Body>
auto guarded(Body&& body) -> std::invoke_result_t<Body&> {
    using Returned = std::invoke_result_t<Body&>;
    static_assert(std::is_void_v<Returned> || std::is_trivially_destructible_v<Returned>,
                  "a longjmp would skip the destructor of what a guarded block returns");
    detail::SavedStacks saved;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        return body();
    }
    // The frames of the block are gone, and its error context callbacks with them. So the stacks are restored before anything
    // else runs.
    saved.restore_stacks();
    saved.restore_memory_context();
    detail::throw_pending_error();
}

}  // namespace postgres
