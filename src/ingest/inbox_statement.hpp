// The statements of this session that insert into an inbox and have not ended.
//
// The server fires the statement triggers of a view once for each level of queries: two common table expressions that insert
// into one inbox are one statement. A function that is called meanwhile may begin a statement of its own, and ends it before it
// returns. So the open statements form a stack, and a row belongs to the innermost statement of its view. The end of a
// transaction or subtransaction by an error drops what began in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ingest/inbox_buffer.hpp"
#include "ingest/inbox_text.hpp"
#include "ingest/intake.hpp"
#include "postgres/types.hpp"

namespace ingest {

class InboxStatement {
public:
    InboxStatement();
    InboxStatement(const InboxStatement&) = delete;
    InboxStatement& operator=(const InboxStatement&) = delete;
    ~InboxStatement() { close_buffer(buffer_); }

    // Take a row of telemetry.inbox, or of telemetry.inbox_text, and store the rows when there are enough.
    void take(TupleTableSlot* row);
    void take_texts(TupleTableSlot* row);

    const Intake& intake() const noexcept { return intake_; }

    // Stores the rows of the buffer, and makes room for more.
    void flush();

private:
    Intake intake_;
    InboxBuffer buffer_{};
    InboxTextReader texts_;
};

// Begins a statement on this view.
void begin_statement(Oid view);

// The innermost open statement on this view. Throws Error(TC202) if there is none, because a trigger of the view is missing.
InboxStatement& open_statement(Oid view);

// Ends it, and keeps its receipt for `last_receipt`.
void end_statement(Oid view);

// What the last statement brought that has ended in this session and was not rolled back. Plain data.
struct InboxReceipt {
    IntakeTotals totals;
    char token[80];
};
const InboxReceipt* last_receipt() noexcept;

}  // namespace ingest
