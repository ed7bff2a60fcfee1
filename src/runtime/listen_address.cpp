// Takes the list apart. The C library judges the addresses.
#include "runtime/listen_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace runtime {
namespace {

constexpr std::string_view kSpace = " \t\n\r";
constexpr std::string_view kDefaultHost = "127.0.0.1";

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(kSpace);
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool is_address(const std::string& host) {
    unsigned char bytes[16];
    return inet_pton(host.find(':') == host.npos ? AF_INET : AF_INET6, host.c_str(), bytes) == 1;
}

int parse_port(std::string_view text) {
    int port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535 ? port : 0;
}

std::variant<ListenAddress, ListenFlaw> parse_entry(std::string_view entry) {
    ListenAddress address;
    const std::string quoted = "\"" + std::string(entry) + "\"";
    std::string_view rest = entry;
    if (const auto equals = rest.find('='); equals != rest.npos) {
        address.database = trimmed(rest.substr(0, equals));
        rest = trimmed(rest.substr(equals + 1));
        if (address.database.empty()) return ListenFlaw{quoted + " has an equals sign without the name of a database."};
    }
    std::string_view port = rest;
    address.host = kDefaultHost;
    if (const auto colon = rest.rfind(':'); colon != rest.npos) {
        std::string_view host = rest.substr(0, colon);
        port = rest.substr(colon + 1);
        const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
        if (has_brackets) host = host.substr(1, host.size() - 2);
        address.host = host;
        if (!is_address(address.host) || has_brackets != (address.host.find(':') != std::string::npos))
            return ListenFlaw{quoted + " has no IPv4 address, and no IPv6 address in brackets, before the port."};
    }
    address.port = parse_port(port);
    if (address.port == 0) return ListenFlaw{quoted + " ends with no port from 1 to 65535."};
    return address;
}

}  // namespace

std::variant<std::vector<ListenAddress>, ListenFlaw> parse_listen_addresses(std::string_view text) {
    std::vector<ListenAddress> addresses;
    if (trimmed(text).empty()) return addresses;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(',', begin), text.size());
        auto entry = parse_entry(trimmed(text.substr(begin, end - begin)));
        if (const auto* flaw = std::get_if<ListenFlaw>(&entry)) return *flaw;
        auto& address = std::get<ListenAddress>(entry);
        for (const ListenAddress& each : addresses)
            if (each.host == address.host && each.port == address.port)
                return ListenFlaw{text_of(address) + " stands in the list twice."};
        addresses.push_back(std::move(address));
        begin = end + 1;
    }
    return addresses;
}

std::vector<ListenAddress> addresses_of(std::string_view database, std::string_view text) {
    const auto parsed = parse_listen_addresses(text);
    std::vector<ListenAddress> own;
    const auto* addresses = std::get_if<std::vector<ListenAddress>>(&parsed);
    if (addresses == nullptr) return own;
    for (const std::string_view name : {database, std::string_view()}) {
        std::ranges::copy_if(*addresses, std::back_inserter(own),
                             [name](const ListenAddress& each) { return each.database == name; });
        if (!own.empty()) break;
    }
    return own;
}

std::string text_of(const ListenAddress& address) {
    const bool is_ipv6 = address.host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace runtime
