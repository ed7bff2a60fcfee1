// Reads rows of telemetry.inbox_text, whose columns are all of type text. A row with an unreadable value becomes a request that
// the judgement refuses, so that it does not end the statement.
#pragma once

#include <deque>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/inbox_buffer.hpp"
#include "model/json_item.hpp"

namespace ingest {

class InboxTextReader {
public:
    InboxTextReader();
    InboxTextReader(const InboxTextReader&) = delete;
    InboxTextReader& operator=(const InboxTextReader&) = delete;

    // Completes the request that the buffer has made of this row.
    void complete(Request& request, const TextRow& row);

    // Frees the memory of the requests.
    void forget_rows();

private:
    void read_metrics(Request& request, const TextRow& row);
    void encode_names(Request& request, const TextRow& row);
    void refuse(Request& request, const TextRow& row, model::RefusalText refusal);

    std::pmr::monotonic_buffer_resource memory_;
    std::optional<model::JsonItemReader> metrics_reader_;
    std::deque<model::RefusalText> refusals_;
    std::deque<std::string> texts_;
    std::deque<std::vector<model::Metric>> metrics_;  // where the database is not in UTF-8
};

}  // namespace ingest
