#include "http/http_service.hpp"

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

// The processes that listen at a port of 127.0.0.1 have a socket each.
int listener_count(int port) {
    std::ifstream table("/proc/net/tcp");
    std::ostringstream address;
    address << "0100007F:" << std::uppercase << std::hex;
    address.width(4);
    address.fill('0');
    address << port;
    int count = 0;
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string number, local, remote, state;
        fields >> number >> local >> remote >> state;
        if (local == address.str() && state == "0A") ++count;
    }
    return count;
}

}  // namespace

HttpService::HttpService(const Setup& setup, const std::string& conninfo, int workers) : setup_(setup), connection_(conninfo) {
    connection_.run("DO $$ BEGIN IF to_regrole('bench_http') IS NULL THEN CREATE ROLE bench_http NOLOGIN; END IF; END $$");
    set("http_workers", std::to_string(workers));
    set("http_listen", connection_.run_text("SELECT current_database()") + "=" + std::to_string(setup.http_port));
    connection_.run("SELECT pg_reload_conf()");
    wait_for_listeners(workers);
}

HttpService::~HttpService() {
    try {
        set("http_listen", "");
        connection_.run("SELECT pg_reload_conf()");
        wait_for_listeners(0);
    } catch (const std::exception& error) {
        say(std::string("could not switch HTTP off: ") + error.what());
    }
}

void HttpService::set(const std::string& setting, const std::string& value) {
    connection_.run("ALTER SYSTEM SET telemetry_cqrs." + setting + " = '" + value + "'");
}

void HttpService::wait_for_listeners(int count) {
    const auto deadline = Clock::now() + std::chrono::minutes(1);
    while (listener_count(setup_.http_port) != count) {
        if (Clock::now() > deadline)
            throw std::runtime_error("not within a minute: " + std::to_string(count) + " workers of HTTP");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

std::string HttpService::token_after(const std::string& grant) {
    connection_.run("SELECT telemetry." + grant + "('bench_http')");
    return connection_.run_text("SELECT telemetry.create_http_token('bench_http')");
}

std::string HttpService::token_of_reader() {
    return token_after("grant_reader");
}

std::string HttpService::token_of_writer() {
    return token_after("grant_writer");
}

}  // namespace bench
