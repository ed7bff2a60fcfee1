// An event of a database that is not in UTF-8, with its texts in UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/event.hpp"

namespace subscription {

class Utf8Event {
public:
    Utf8Event(const model::LoggedEvent& event, std::string (*convert)(std::string_view))
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
    Utf8Event(const Utf8Event&) = delete;
    Utf8Event& operator=(const Utf8Event&) = delete;

    const model::LoggedEvent& get() const noexcept { return event_; }

private:
    model::LoggedEvent event_;
    std::string device_id_, region_, key_;
    std::vector<std::string> names_;
    std::vector<model::Metric> metrics_;
};

}  // namespace subscription
