// Bisects a batch, with a subtransaction for each try.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "projection/parking.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "error_codes.hpp"
#include "event_log/window_reader.hpp"
#include "feed/batch.hpp"
#include "feed/reach.hpp"
#include "feed/selected_events.hpp"
#include "postgres/error.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/transaction.hpp"
#include "projection/failure.hpp"
#include "projection/handler.hpp"
#include "projection/parked_events.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

using Events = std::span<const model::EventId>;

constexpr std::int64_t kMostReplayed = 100;

// Of SQLSTATEs: a connection, a transaction that must be repeated, the schema and rights, resources, locks, an operator, the
// system, and this extension.
constexpr const char* kOtherClasses[] = {"08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "TC"};

bool is_poison(int sqlstate) {
    const std::string text = postgres::guarded([sqlstate] { return unpack_sql_state(sqlstate); });
    return std::none_of(std::begin(kOtherClasses), std::end(kOtherClasses),
                        [&text](const char* each) { return text.compare(0, 2, each) == 0; });
}

std::vector<model::EventId> sorted(Events events) {
    std::vector<model::EventId> copy(events.begin(), events.end());
    std::sort(copy.begin(), copy.end());
    return copy;
}

// Applies these events of the batch to the consumer's read model, and no others. `reach` is that of the consumer with them.
void apply(const Consumer& consumer, const feed::Batch& batch, Events events, const feed::Reach& reach, ::Snapshot snapshot) {
    const std::vector<model::EventId> selected = sorted(events);
    if (consumer.definition->is_handler()) {
        const feed::SelectedEvents restriction(batch.batch_id, selected);
        call_handler(*consumer.definition, batch.batch_id);
        return;
    }
    Targets targets;
    targets.open(*consumer.definition, consumer.cursor.generation, snapshot);
    event_log::WindowReader reader(model::window_between(batch.from, batch.to), batch.epoch, snapshot);
    std::vector<model::Event> readings;
    for (;;) {
        const event_log::Block block = reader.read(std::numeric_limits<std::int64_t>::max());
        if (block.rows == 0) break;
        readings.clear();
        for (const model::Event& each : block.given)
            if (std::binary_search(selected.begin(), selected.end(), each.event_id)) readings.push_back(each);
        targets.add(readings);
        if (targets.are_full()) targets.spill(reach, snapshot);
    }
    reader.close();
    targets.spill(reach, snapshot);
}

// Applies what can be applied, and collects the rest.
class Bisection {
public:
    // `reach` is that of the consumer before.
    Bisection(const Consumer& consumer, const feed::Batch& batch, feed::Reach reach, ::Snapshot snapshot,
              std::size_t most_poison)
        : consumer_(consumer), batch_(batch), reach_(std::move(reach)), snapshot_(snapshot), most_poison_(most_poison) {}

    void run(Events events) {
        if (events.empty()) return;
        const std::optional<Poison> failure = try_to_apply(events);
        if (!failure) return;
        if (events.size() == 1) {
            poison_.push_back(*failure);
            return;
        }
        const std::size_t half = events.size() / 2;
        run(events.first(half));
        run(events.subspan(half));
    }

    const std::vector<Poison>& poison() const noexcept { return poison_; }
    const std::exception_ptr& last_failure() const noexcept { return last_failure_; }

private:
    std::optional<Poison> try_to_apply(Events events) {
        const std::size_t applied_before = applied_.size();
        applied_.insert(applied_.end(), events.begin(), events.end());
        reach_.take(sorted(applied_));
        try {
            postgres::in_subtransaction([&] { apply(consumer_, batch_, events, reach_, snapshot_); });
            return std::nullopt;
        } catch (const std::exception&) {
            applied_.resize(applied_before);
            last_failure_ = std::current_exception();
            const postgres::ErrorReport report = postgres::describe_current_exception();
            if (is_interruption() || !is_poison(report.sqlstate) || poison_.size() == most_poison_) throw;
            return Poison{events.front(), report.sqlstate, report.message};
        }
    }

    const Consumer& consumer_;
    const feed::Batch& batch_;
    feed::Reach reach_;
    ::Snapshot snapshot_;
    std::size_t most_poison_;
    std::vector<model::EventId> applied_;
    std::vector<Poison> poison_;
    std::exception_ptr last_failure_;
};

// A projection without rows chooses its generation with the first part of the batch that it applies, and all parts belong to
// it.
void choose_generation(Consumer& consumer, ::Snapshot snapshot) {
    if (consumer.cursor.generation != 0) return;
    Targets targets;
    if (!consumer.definition->is_handler()) targets.open(*consumer.definition, 0, snapshot);
    consumer.cursor.generation = 1;
    targets.for_each({}, snapshot, [&](const Target& target, auto&&) { consumer.cursor.generation = target.generation(); });
}

void log_parked(const Consumer& consumer, const std::vector<Poison>& poison) {
    postgres::guarded([name = consumer.name.c_str(), count = poison.size(), first = &poison.front()] {
        ereport(LOG, (errcode(first->sqlstate),
                      errmsg("telemetry_cqrs projection \"%s\" parks %zu events that it fails on", name, count),
                      errdetail_internal("Event " INT64_FORMAT ": %s", first->event.value, first->message.c_str()),
                      errhint("telemetry.parked_event has them. telemetry.replay_parked() sends them through again.")));
    });
}

bool holds(const feed::Batch& batch, Events events, ::Snapshot snapshot) {
    const std::vector<model::EventId> all = sorted(feed::event_ids_of(batch, snapshot));
    return std::all_of(events.begin(), events.end(),
                       [&all](model::EventId each) { return std::binary_search(all.begin(), all.end(), each); });
}

}  // namespace

bool may_be_poison(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception&) {
        return is_poison(postgres::describe_current_exception().sqlstate);
    }
}

std::optional<Consumed> consume_without_poison(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot) {
    const auto batch = feed::find_batch_after(consumer.cursor.batch, snapshot);
    if (!batch) return std::nullopt;
    Consumer served = consumer;
    choose_generation(served, snapshot);
    const std::vector<model::EventId> events = feed::event_ids_of(*batch, snapshot);
    Bisection bisection(served, *batch, feed::Reach(progress, served.cursor, snapshot), snapshot, kMostPoison);
    bisection.run(events);
    const std::vector<Poison>& poison = bisection.poison();
    if (poison.size() == events.size() && events.size() > 1) std::rethrow_exception(bisection.last_failure());
    for (const Poison& each : poison) park_event({served.projection(), served.cursor.generation}, batch->batch_id, each);
    if (!poison.empty()) log_parked(served, poison);
    feed::write_cursor(served.projection(), cursor_after(*batch, served, progress));
    return Consumed{.events = batch->events};
}

bool replay_some(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot) {
    const Generation generation{consumer.projection(), consumer.cursor.generation};
    const DueEvents due = find_due_events(generation, kMostReplayed);
    if (due.events.empty()) return false;
    // The batch may have been merged into a later one.
    const auto batch = feed::find_batch_after(model::BatchId{due.batch.value - 1}, snapshot);
    if (!batch || !holds(*batch, due.events, snapshot))
        throw postgres::Error(
            error_codes::kLogWasAltered, "telemetry.batch lacks the batch of a parked event",
            "Event " + std::to_string(due.events.front().value) + " came in batch " + std::to_string(due.batch.value) + ".",
            "Somebody deleted rows of telemetry.batch. telemetry.rebuild_projection() applies the event.");
    Bisection bisection(consumer, *batch, feed::Reach(progress, consumer.cursor, snapshot), snapshot, due.events.size());
    bisection.run(due.events);
    for (const model::EventId event : due.events) {
        const auto failed = std::find_if(bisection.poison().begin(), bisection.poison().end(),
                                         [event](const Poison& each) { return each.event == event; });
        if (failed == bisection.poison().end())
            unpark_event(generation, event);
        else
            keep_parked(generation, *failed);
    }
    return true;
}

}  // namespace projection
