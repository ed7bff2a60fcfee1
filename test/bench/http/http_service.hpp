// Lets the running server answer HTTP for a database. The setting is that of the whole server, so only one database has it at a
// time.
#pragma once

#include <string>

#include "benchmarks.hpp"
#include "connection.hpp"

namespace bench {

class HttpService {
public:
    // Returns when so many workers listen at setup.http_port.
    HttpService(const Setup& setup, const std::string& conninfo, int workers);
    HttpService(const HttpService&) = delete;
    HttpService& operator=(const HttpService&) = delete;
    ~HttpService();  // switches HTTP off, and waits until nobody listens

    // Tokens of a role of the benchmarks. The role gets the rights.
    std::string token_of_reader();
    std::string token_of_writer();

private:
    std::string token_after(const std::string& grant);
    void set(const std::string& setting, const std::string& value);
    void wait_for_listeners(int count);

    const Setup& setup_;
    client::Connection connection_;
};

}  // namespace bench
