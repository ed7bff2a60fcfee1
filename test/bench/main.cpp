// Runs benchmarks by name against two servers and prints their tables. test/bench/run starts it.
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks.hpp"

namespace bench {

void say(const std::string& line) {
    std::cerr << "# " << line << std::endl;
}

}  // namespace bench

namespace {

constexpr std::pair<std::string_view, bench::Benchmark> kBenchmarks[] = {
    {"ingest", bench::ingest},
    {"backlog", bench::backlog},
    {"backlog200k", bench::backlog_of_many},
    {"minute", bench::minute},
    {"current", bench::current},
    {"late", bench::late},
    {"freshness", bench::freshness},
    {"single", bench::single},
    {"inbox", bench::inbox},
    {"inbox-small", bench::inbox_small},
    {"json", bench::json},
    {"crossing", bench::crossing},
    {"quotas", bench::quotas},
    {"reads", bench::reads},
    {"live", bench::live},
    {"rebuild", bench::rebuild},
    {"raw", bench::raw},
    {"subscription", bench::subscription},
    {"checkpoint", bench::ingest_checkpoint},
    {"retries", bench::ingest_retries},
    {"clients2", bench::ingest_two_clients},
    {"uuid4", bench::ingest_uuid4},
    {"uuid7", bench::ingest_uuid7},
#ifdef WITH_PEERS
    {"relay_nats", bench::relay_nats},
    {"relay_redis", bench::relay_redis},
    {"relay_latency", bench::relay_latency},
    {"relay_ingest", bench::relay_ingest},
    {"http_stats", bench::http_stats},
    {"http_ingest", bench::http_ingest},
    {"http_events", bench::http_events},
#endif
};

int usage() {
    std::cerr << "telemetry_bench --stopped CONNINFO --running CONNINFO [--quick] [--rounds N] [--tsv FILE] [--json FILE] "
                 "[--environment JSON] [--nats-port N --redis-port N --http-port N --redis-http-port N] NAME...\n";
    return 2;
}

// An empty name asks for no file.
bool write_file(const std::string& name, const std::string& content) {
    if (name.empty()) return true;
    std::ofstream out(name);
    out << content << std::flush;
    if (!out) std::cerr << "could not write " << name << "\n";
    return out.good();
}

}  // namespace

int main(int argc, char** argv) {
    bench::Setup setup;
    std::string json_file, tsv_file, environment = "{}";
    std::vector<std::string> names;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const bool has_value = i + 1 < argc;
        if (argument == "--list") {
            for (const auto& [name, run] : kBenchmarks) std::cout << name << "\n";
            return 0;
        }
        if (argument == "--quick")
            setup.quick = true;
        else if (argument == "--stopped" && has_value)
            setup.servers.stopped = argv[++i];
        else if (argument == "--running" && has_value)
            setup.servers.running = argv[++i];
        else if (argument == "--rounds" && has_value)
            setup.rounds = std::atoi(argv[++i]);
        else if (argument == "--nats-port" && has_value)
            setup.nats_port = std::atoi(argv[++i]);
        else if (argument == "--redis-port" && has_value)
            setup.redis_port = std::atoi(argv[++i]);
        else if (argument == "--http-port" && has_value)
            setup.http_port = std::atoi(argv[++i]);
        else if (argument == "--redis-http-port" && has_value)
            setup.redis_http_port = std::atoi(argv[++i]);
        else if (argument == "--json" && has_value)
            json_file = argv[++i];
        else if (argument == "--tsv" && has_value)
            tsv_file = argv[++i];
        else if (argument == "--environment" && has_value)
            environment = argv[++i];
        else if (!argument.starts_with("-"))
            names.push_back(argument);
        else
            return usage();
    }
    if (setup.servers.stopped.empty() || setup.servers.running.empty() || setup.rounds < 1 || names.empty()) return usage();

    std::string json, tsv;
    int failed = 0;
    for (const std::string& name : names) {
        const bench::Benchmark* benchmark = nullptr;
        for (const auto& [known, run] : kBenchmarks)
            if (known == name) benchmark = &run;
        if (!benchmark) {
            std::cerr << "no benchmark \"" << name << "\"\n";
            return 2;
        }
        try {
            for (const bench::Table& table : (*benchmark)(setup)) {
                std::cout << table.as_text() << std::flush;
                tsv += table.as_tsv();
                json += (json.empty() ? "\n  " : ",\n  ") + table.as_json();
            }
        } catch (const std::exception& error) {
            std::cerr << name << " failed: " << error.what() << std::endl;
            ++failed;
        }
    }
    if (!write_file(json_file, "{\"environment\": " + environment + ",\n \"tables\": [" + json + "]}\n")) return 1;
    if (!write_file(tsv_file, tsv)) return 1;
    return failed == 0 ? 0 : 1;
}
