// The token of a receipt, taken apart. ingest/README.md says which forms it has.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/identifiers.hpp"

namespace model {

struct ReceiptToken {
    enum class Form {
        kReading,  // of a single reading
        kEvents,   // of a statement whose readings all became events
        kAccount,  // of a statement with an account
    };

    Epoch epoch;
    Xid xid;
    Form form = Form::kReading;
    std::int64_t first_event_id = 0, last_event_id = 0;  // of kEvents; 0: the statement had no reading
    std::string_view account_key;                        // of kAccount; it points into the text
};

// Nothing: no receipt has such a token.
std::optional<ReceiptToken> parse_receipt_token(std::string_view text) noexcept;

}  // namespace model
