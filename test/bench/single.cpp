// 1 and 8 clients send one reading a call and a commit, by ingest_telemetry() and by one prepared INSERT .. ON CONFLICT into a
// plain table with a unique key and an index by device and time. A commit waits for the disk, or does not.
#include "sides.hpp"

namespace bench {
namespace {

void index_by_device_and_time(const std::string& conninfo) {
    client::Connection connection(conninfo);
    connection.run("CREATE INDEX ON plain (device_id, measured_at)");
}

// The cost of the projector, beside ours without it.
Table projector_table(const Table& table, const Work& work) {
    Table projector("single-projector", work.title, "readings/s", true);
    const std::string stopped = "ours, projector stopped";
    for (const std::string& label : {stopped, std::string("ours, projector running: last commit")}) {
        projector.line(label, stopped);
        for (const double rate : table.values(label)) projector.add(label, rate);
    }
    return projector;
}

}  // namespace

std::vector<Table> single(const Setup& setup) {
    const std::string plain = "one prepared INSERT .. ON CONFLICT", ours = "ours";
    std::vector<Side> sides;
    sides.push_back(make_side(setup.servers, "single_plain", plain, Target::kPlainTable, InsertMethod::kInsertRow, plain));
    index_by_device_and_time(sides[0].conninfo);
    sides.push_back(make_side(setup.servers, "single_ours", ours, Target::kProjectorStopped, InsertMethod::kCall, plain));
    sides.push_back(make_side(setup.servers, "single_ours", ours, Target::kProjectorRunning, InsertMethod::kCall, plain));

    std::vector<Table> tables;
    for (const char* synchronous_commit : {"on", "off"}) {
        for (const int clients : {1, 8}) {
            for (Side& side : sides) side.clients = clients;
            Work work;
            work.name = "single";
            work.title = "one reading a call and a commit, " + std::to_string(clients) +
                         (clients == 1 ? " client" : " clients") + ", synchronous_commit " + synchronous_commit;
            work.session_options = std::string(" options='-c synchronous_commit=") + synchronous_commit + "'";
            work.per_round = (setup.quick ? 1000 : 20'000) * (clients == 1 ? 1 : 4);
            work.warm_up = work.per_round;  // The first one registers the devices, too.
            work.readings = [](std::int64_t first, std::int64_t count) {
                return Fleet(Keys::kSequence).readings(first, count);
            };
            Table table = compare_sides(setup, work, sides);
            Table projector = projector_table(table, work);
            tables.push_back(std::move(table));
            tables.push_back(std::move(projector));
        }
    }
    expect_same_contents("single", sides);
    drop_sides(sides);
    return tables;
}

}  // namespace bench
