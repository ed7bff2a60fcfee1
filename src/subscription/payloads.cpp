// Puts one payload after the other into one buffer.
#include "subscription/payloads.hpp"

#include "model/event_json.hpp"
#include "postgres/encoding.hpp"

namespace subscription {
namespace {

// An event with its texts in UTF-8.
class ConvertedEvent {
public:
    ConvertedEvent(const model::LoggedEvent& event, std::string (*convert)(std::string_view))
        : event_(event), device_id_(convert(event.device_id)), region_(convert(event.region)) {
        event_.device_id = device_id_;
        event_.region = region_;
        if (event.idempotency_key) {
            key_ = convert(*event.idempotency_key);
            event_.idempotency_key = key_;
        }
        names_.reserve(event.metrics.size());
        metrics_.reserve(event.metrics.size());
        for (const model::Metric& each : event.metrics) {
            names_.push_back(convert(each.name));
            metrics_.push_back({names_.back(), each.value});
        }
        event_.metrics = metrics_;
    }
    ConvertedEvent(const ConvertedEvent&) = delete;
    ConvertedEvent& operator=(const ConvertedEvent&) = delete;

    const model::LoggedEvent& get() const noexcept { return event_; }

private:
    model::LoggedEvent event_;
    std::string device_id_, region_, key_;
    std::vector<std::string> names_;
    std::vector<model::Metric> metrics_;
};

}  // namespace

void Payloads::render(std::span<const model::LoggedEvent* const> events) {
    const auto convert = postgres::utf8_conversion();
    text_.clear();
    starts_.assign(1, 0);
    for (const model::LoggedEvent* event : events) {
        if (convert == nullptr)
            model::append_payload_json(text_, *event);
        else
            model::append_payload_json(text_, ConvertedEvent(*event, convert).get());
        starts_.push_back(text_.size());
    }
}

}  // namespace subscription
