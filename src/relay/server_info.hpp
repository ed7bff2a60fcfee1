// What a NATS server says about itself in INFO.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "relay/json_object.hpp"

namespace relay {

struct ServerInfo {
    std::string server_id;
    std::string server_name;
    std::string version;
    std::string nonce;                      // not empty: the server may want it signed
    std::vector<std::string> connect_urls;  // "host:port" of the servers of the cluster
    std::uint64_t max_payload = 0;          // bytes of headers and payload together
    bool has_headers = false;
    bool has_jetstream = false;
    bool is_auth_required = false;
    bool is_tls_required = false;
    bool is_tls_available = false;
    bool is_leaving = false;  // "lame duck mode": the server will close the connection
};

std::variant<ServerInfo, JsonFlaw> parse_server_info(std::string_view json);

}  // namespace relay
