// A client sends batches of 1,000 readings as a text of JSON, beside the same batches as arrays.
#include "sides.hpp"

namespace bench {

std::vector<Table> json(const Setup& setup) {
    const std::string arrays = "arrays", text = "JSON";
    std::vector<Side> sides;
    for (const Target target : {Target::kProjectorStopped, Target::kProjectorRunning}) {
        sides.push_back(make_side(setup.servers, "json_arrays", arrays, target, InsertMethod::kArrays, arrays));
        sides.push_back(make_side(setup.servers, "json_text", text, target, InsertMethod::kJson, arrays));
    }
    prefill_sides("json", sides, setup.stored_before());

    std::vector<Table> tables;
    for (const Format format : {Format::kBinary, Format::kText}) {
        Work work;
        work.name = "json";
        work.title = std::string("1,000 readings a transaction, 1 client, arrays ") +
                     (format == Format::kBinary ? "binary" : "text") + " on the wire";
        work.format = format;
        work.per_round = setup.per_run();
        work.warm_up = setup.per_run() / 5;
        work.readings = [](std::int64_t first, std::int64_t count) { return Fleet(Keys::kSequence).readings(first, count); };
        tables.push_back(compare_sides(setup, work, sides));
    }
    expect_same_contents("json", sides);
    drop_sides(sides);
    return tables;
}

}  // namespace bench
