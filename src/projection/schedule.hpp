// Says which consumers a pass serves that catches up, and when. The process forgets it when it ends; a consumer is then served
// a little earlier or later.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "feed/progress.hpp"
#include "projection/consumer.hpp"
#include "projection/pass.hpp"
#include "runtime/steady_time.hpp"

namespace projection {

class Schedule {
public:
    // Leaves a consumer out, or serves it again.
    void suspend(std::string_view consumer, bool is_suspended);

    bool is_suspended(std::string_view consumer) const { return suspended_.find(consumer) != suspended_.end(); }
    bool is_left_out(const Consumer& each) const { return each.definition->is_paused || is_suspended(each.name); }

    // Can it consume batches now?
    bool waits(const Consumer& each, const feed::Progress& progress, const PassOptions& options) const;

    // Chooses consumers that stand at one batch. Those that have kept up before come first, because they are due only now and
    // then, and after them those that have fallen behind. So a rebuild or a new projection, which reads the whole log, delays
    // none of them. Among the others those that are furthest behind come first, and the next ones join them. A handler is
    // served alone.
    std::vector<const Consumer*> choose(const std::vector<Consumer>& consumers, const feed::Progress& progress,
                                        const PassOptions& options) const;

    // The consumer has been served. One that has more to consume is due again at once.
    void has_served(const Consumer& consumer, bool keeps_up);

    // When the next lazy projection will be due that has consumed fewer events than this; 0: none will.
    runtime::SteadyTime next_due(const std::vector<Consumer>& consumers, std::int64_t events) const;

private:
    runtime::SteadyTime due_at(const Consumer& each) const;

    std::set<std::string, std::less<>> suspended_;
    std::map<std::string, runtime::SteadyTime, std::less<>> served_at_;  // of lazy projections and audits
};

}  // namespace projection
