// Asks the judge of readings.
#include "ingest/device_names.hpp"

#include "ingest/refused.hpp"
#include "model/judge.hpp"
#include "model/refusal_text.hpp"
#include "postgres/encoding.hpp"
#include "postgres/text.hpp"
#include "postgres/types.hpp"

namespace ingest {

void require_valid_names(const text* device_id, const text* region) {
    model::DeviceNames names{};
    if (device_id != nullptr) names.device_id = postgres::view_of(device_id);
    if (region != nullptr) names.region = postgres::view_of(region);
    const model::Utf8Conversion to_utf8 = postgres::utf8_conversion();
    const model::Refusal refusal = model::refusal_of(names, to_utf8);
    if (refusal != model::Refusal::kNone) raise(refuse_reading(0, model::describe(refusal, names, to_utf8)), 0, false);
}

}  // namespace ingest
