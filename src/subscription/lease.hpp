// What the SQL function telemetry.take_share() offers a consumer, and the lease that it gets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/types.hpp"
#include "subscription/share.hpp"

namespace subscription {

struct LeaseRequest {
    std::string subscription;
    std::string consumer;
    std::int32_t most_events;
    Datum lease_time;    // an interval
    std::string caller;  // the role's name
};

// A share whose row this transaction has locked.
struct Offer {
    Filter filter;
    Place place;
    model::BatchId at_most;
    std::int32_t most_events;
    std::int64_t lease;
    bool is_retry;                  // the events are rows of telemetry.redelivery that have this lease
    std::vector<std::string> held;  // ascending: devices whose events wait behind a failed one
};

// Nothing: there is nothing to do for the consumer now. The caller acts as the owner.
std::optional<Offer> take_share(const LeaseRequest& request);

// Gives the lease to the consumer. `events` were delivered, up to `end`.
void grant_lease(const LeaseRequest& request, const Offer& offer, const Place& end, std::int64_t events);

// For a share of which no event up to `end` is wanted. It is consumed so far without a lease.
void skip_to(const LeaseRequest& request, const Offer& offer, const Place& end);

// The event waits behind earlier ones of its device, and the lease holds it back. `payload` is its JSON.
void hold_back(const LeaseRequest& request, const Offer& offer, const model::LoggedEvent& event, model::Epoch epoch,
               std::string_view payload);

// For a transaction that has held events back without granting the lease.
void let_wait(const LeaseRequest& request, const Offer& offer);

}  // namespace subscription
