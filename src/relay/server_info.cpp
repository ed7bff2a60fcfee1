// Reads the members of INFO.
#include "relay/server_info.hpp"

namespace relay {

std::variant<ServerInfo, JsonFlaw> parse_server_info(std::string_view json) {
    JsonObject object(json);
    JsonMembers members = object.members();
    members.require("server_id");
    members.require("max_payload");
    ServerInfo info;
    info.server_id = members.text("server_id");
    info.server_name = members.text("server_name");
    info.version = members.text("version");
    info.nonce = members.text("nonce");
    info.connect_urls = members.texts("connect_urls");
    info.max_payload = members.number<std::uint64_t>("max_payload");
    info.has_headers = members.boolean("headers");
    info.has_jetstream = members.boolean("jetstream");
    info.is_auth_required = members.boolean("auth_required");
    info.is_tls_required = members.boolean("tls_required");
    info.is_tls_available = members.boolean("tls_available");
    info.is_leaving = members.boolean("ldm");
    if (object.flaw()) return *object.flaw();
    return info;
}

}  // namespace relay
