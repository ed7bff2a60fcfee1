// Names of consumers.
#include "feed/consumer.hpp"

#include <string>

#include "model/validation.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace feed {

std::string_view name_of(Consumer consumer) noexcept {
    switch (consumer) {
        case Consumer::kBatch:
            return "batch";
        case Consumer::kDevice:
            return "device";
        case Consumer::kRegion:
            return "region";
    }
    return {};
}

Consumer projection_named(std::string_view name) {
    std::string known;
    for (const Consumer each : kProjections) {
        if (name_of(each) == name) return each;
        known.append(known.empty() ? "" : ", ").append(name_of(each));
    }
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                          "there is no projection " + postgres::presentable(model::quoted_for_message(name)), {},
                          "Projections are: " + known + ".");
}

}  // namespace feed
