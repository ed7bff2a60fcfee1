// Feeds the extension while a dashboard shows what happens, then proves that nothing was lost. dev/demo starts it.
//
//   fleet simulate SECONDS      a simulated fleet
//   fleet load FILE...          readings from CSV files
//
// Connects by the PG* variables. Exit status: 0, 1 if something failed or a count differs, 2 for wrong arguments.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "dashboard.hpp"
#include "load.hpp"
#include "proof.hpp"
#include "simulation.hpp"
#include "terminal.hpp"
#include "view.hpp"

namespace {

void load_file(const std::filesystem::path& path, fleet::Totals& totals) {
    std::ifstream input(path, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + path.string());
    try {
        fleet::load(input, totals);
    } catch (const std::exception& error) {
        throw std::runtime_error(path.filename().string() + ": " + error.what());
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const int seconds = argc > 2 ? std::atoi(argv[2]) : 0;
    if (!(what == "simulate" && argc == 3 && seconds > 0) && !(what == "load" && argc >= 3)) {
        std::cerr << "fleet simulate SECONDS | fleet load FILE...\n";
        return 2;
    }
    fleet::Totals totals;
    totals.simulated = what == "simulate";
    try {
        totals.work_total = std::int64_t{seconds} * 1000;
        if (!totals.simulated) {
            totals.work_total = 0;
            for (int i = 2; i < argc; ++i) totals.work_total += static_cast<std::int64_t>(std::filesystem::file_size(argv[i]));
        }
        const fleet::Terminal terminal = fleet::Terminal::of_stdout();
        const auto view = terminal.live ? fleet::live_view(totals) : fleet::plain_view(totals);
        fleet::Dashboard dashboard(totals, *view);
        if (totals.simulated)
            fleet::simulate(seconds, totals);
        else
            for (int i = 2; i < argc; ++i) load_file(argv[i], totals);
        dashboard.stop();
        return fleet::prove(totals) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
