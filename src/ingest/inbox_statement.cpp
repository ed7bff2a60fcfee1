// Keeps the stack of open statements, and the receipt of the last one.
#include "ingest/inbox_statement.hpp"

#include <memory>
#include <vector>

#include "error_codes.hpp"
#include "ingest/door.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

struct OpenStatement {
    Oid view;
    int nesting;  // level of the transaction in which it began
    InboxStatement statement;
    OpenStatement* outer;

    OpenStatement(Oid of_view, OpenStatement* outer_statement)
        : view(of_view), nesting(GetCurrentTransactionNestLevel()), outer(outer_statement) {}
};

// Session state. Each OpenStatement lies on the heap, and callbacks free it where no trigger does.
constinit OpenStatement* innermost = nullptr;
constinit bool is_watching = false;

// The receipt, and where it would be rolled back: at this level of the transaction in progress; 0: it is committed.
constinit InboxReceipt receipt{};
constinit bool has_receipt = false;
constinit int receipt_nesting = 0;

void drop_innermost() noexcept {
    OpenStatement* ended = innermost;
    innermost = ended->outer;
    delete ended;
}

// P. A statement whose last trigger does not fire would lose the rows in its buffer.
void refuse_to_lose_rows() {
    if (innermost == nullptr) return;
    ereport(ERROR,
            (errcode(error_codes::kLogWasAltered), errmsg("an insert into an inbox did not end"),
             errdetail("The trigger end_intake of the view has not fired, and rows still wait to be stored."),
             errhint("Look whether the triggers of telemetry.inbox and telemetry.inbox_text are as the extension made them.")));
}

void end_of_transaction(XactEvent event, void*) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
        case XACT_EVENT_PRE_PREPARE:
            refuse_to_lose_rows();
            break;
        case XACT_EVENT_ABORT:
            while (innermost != nullptr) drop_innermost();
            [[fallthrough]];
        case XACT_EVENT_PREPARE:  // any session may roll it back, and this one would not hear of it
            if (receipt_nesting > 0) has_receipt = false;
            receipt_nesting = 0;
            break;
        case XACT_EVENT_COMMIT:
            receipt_nesting = 0;
            break;
        default:
            break;
    }
}

void end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) noexcept {
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB) return;
    const int nesting = GetCurrentTransactionNestLevel();
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        while (innermost != nullptr && innermost->nesting >= nesting) drop_innermost();
        if (receipt_nesting >= nesting) has_receipt = false;
    } else {
        // A later savepoint may have the same level, and its end does not end these.
        for (OpenStatement* each = innermost; each != nullptr && each->nesting >= nesting; each = each->outer)
            each->nesting = nesting - 1;
    }
    if (receipt_nesting >= nesting) receipt_nesting = event == SUBXACT_EVENT_ABORT_SUB ? 0 : nesting - 1;
}

void watch_ends() {
    if (is_watching) return;
    postgres::guarded([] {
        RegisterXactCallback(end_of_transaction, nullptr);
        RegisterSubXactCallback(end_of_subtransaction, nullptr);
    });
    is_watching = true;
}

}  // namespace

InboxStatement::InboxStatement() : intake_(Source::kInbox, OnError::kCollect) {
    postgres::guarded([this] { open_buffer(buffer_); });
}

void InboxStatement::take(TupleTableSlot* row) {
    const bool is_time_to_store = postgres::guarded([this, row] {
        add_row(buffer_, row);
        return is_full(buffer_);
    });
    if (is_time_to_store) flush();
}

void InboxStatement::take_texts(TupleTableSlot* row) {
    const TextRow texts = postgres::guarded([this, row] { return add_text_row(buffer_, row); });
    texts_.complete(buffer_.requests[buffer_.count - 1], texts);
    if (postgres::guarded([this] { return is_full(buffer_); })) flush();
}

void InboxStatement::flush() {
    const MemoryContext callers_context = MemoryContextSwitchTo(buffer_.memory);
    intake_.counted([this] {
        const Door door("an insert into an inbox");
        intake_.take({buffer_.requests, static_cast<std::size_t>(buffer_.count)});
        return true;
    });
    MemoryContextSwitchTo(callers_context);
    texts_.forget_rows();
    postgres::guarded([this] {
        empty_buffer(buffer_);
        CommandCounterIncrement();  // so that the next portion finds these rows as repeats
    });
}

void begin_statement(Oid view) {
    watch_ends();
    innermost = new OpenStatement(view, innermost);
}

namespace {

OpenStatement* find_open(Oid view) {
    for (OpenStatement* each = innermost; each != nullptr; each = each->outer)
        if (each->view == view) return each;
    throw postgres::Error(
        error_codes::kLogWasAltered, "an insert into an inbox did not begin",
        "The trigger begin_intake of the view has not fired.",
        "Look whether the triggers of telemetry.inbox and telemetry.inbox_text are as the extension made them.");
}

}  // namespace

InboxStatement& open_statement(Oid view) {
    return find_open(view)->statement;
}

void end_statement(Oid view) {
    OpenStatement* ending = find_open(view);
    ending->statement.flush();
    receipt.totals = ending->statement.intake().totals();
    const std::string token = ending->statement.intake().token();
    postgres::copy_cut(receipt.token, token.c_str());
    has_receipt = true;
    receipt_nesting = GetCurrentTransactionNestLevel();
    for (OpenStatement** link = &innermost; *link != nullptr; link = &(*link)->outer) {
        if (*link != ending) continue;
        *link = ending->outer;
        break;
    }
    delete ending;
}

const InboxReceipt* last_receipt() noexcept {
    return has_receipt ? &receipt : nullptr;
}

}  // namespace ingest
