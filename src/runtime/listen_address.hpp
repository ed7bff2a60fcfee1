// The setting telemetry_cqrs.http_listen: at which addresses the workers of a database answer HTTP. It is pure C++ and calls no
// server code.
//
// The setting is a list with commas. An entry is [database=][address:]port. The address is 127.0.0.1 where it is left out, and
// an IPv6 address stands in brackets. An entry without a database counts for each database for which no entry stands.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace runtime {

struct ListenAddress {
    std::string database;  // empty: any
    std::string host;      // an address in numbers, without brackets
    int port = 0;

    bool operator==(const ListenAddress&) const = default;
};

// Why a text is no such list, as a sentence.
struct ListenFlaw {
    std::string text;
};

std::variant<std::vector<ListenAddress>, ListenFlaw> parse_listen_addresses(std::string_view text);

// The addresses for this database. Empty: there are none, or the text is no such list.
std::vector<ListenAddress> addresses_of(std::string_view database, std::string_view text);

// As clients write it: 127.0.0.1:8080, or [::1]:8080.
std::string text_of(const ListenAddress& address);

}  // namespace runtime
