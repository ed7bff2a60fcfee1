// Reads and writes the JSON of the JetStream API.
#include "relay/jetstream.hpp"

#include <algorithm>
#include <optional>

#include "model/json_text.hpp"

namespace relay {

namespace {

std::optional<JetStreamError> error_in(JsonMembers& members) {
    if (!members.has("error")) return std::nullopt;
    JsonMembers error = members.object("error");
    error.require("code");
    return JetStreamError{
        .code = error.number<int>("code"), .err_code = error.number<int>("err_code"), .description = error.text("description")};
}

std::optional<StreamStorage> storage_of(std::string_view name) noexcept {
    if (name == "file") return StreamStorage::kFile;
    if (name == "memory") return StreamStorage::kMemory;
    return std::nullopt;
}

std::string_view name_of(StreamStorage storage) noexcept {
    return storage == StreamStorage::kFile ? "file" : "memory";
}

// `found` is what the members of the object say where it has no flaw. An error goes first, because a reply with one has other
// members, too.
template <typename Found>
std::variant<Found, JetStreamError, JsonFlaw> reply_of(const JsonObject& object, std::optional<JetStreamError> error,
                                                       Found found) {
    if (object.flaw()) return *object.flaw();
    if (error) return *std::move(error);
    return found;
}

}  // namespace

std::variant<PublishAck, JetStreamError, JsonFlaw> parse_publish_ack(std::string_view json) {
    JsonObject object(json);
    JsonMembers members = object.members();
    auto error = error_in(members);
    if (!error) {
        members.require("stream");
        members.require("seq");
    }
    PublishAck ack{.stream = members.text("stream"),
                   .sequence = members.number<std::uint64_t>("seq"),
                   .is_duplicate = members.boolean("duplicate")};
    return reply_of(object, std::move(error), std::move(ack));
}

std::variant<StreamInfo, JetStreamError, JsonFlaw> parse_stream_reply(std::string_view json) {
    JsonObject object(json);
    JsonMembers members = object.members();
    StreamInfo info;
    auto error = error_in(members);
    if (!error) {
        members.require("config");
        members.require("state");
        JsonMembers config = members.object("config");
        for (const char* name : {"name", "storage", "num_replicas"}) config.require(name);
        const auto storage = storage_of(config.text("storage"));
        if (!storage) config.note("storage", "is neither file nor memory");
        info.config = {.name = config.text("name"),
                       .subjects = config.texts("subjects"),
                       .storage = storage.value_or(StreamStorage::kFile),
                       .num_replicas = config.number<int>("num_replicas"),
                       .max_age = std::chrono::nanoseconds(config.number<std::int64_t>("max_age")),
                       .duplicate_window = std::chrono::nanoseconds(config.number<std::int64_t>("duplicate_window"))};
        JsonMembers state = members.object("state");
        state.require("messages");
        info.messages = state.number<std::uint64_t>("messages");
        info.bytes = state.number<std::uint64_t>("bytes");
        info.first_sequence = state.number<std::uint64_t>("first_seq");
        info.last_sequence = state.number<std::uint64_t>("last_seq");
    }
    return reply_of(object, std::move(error), std::move(info));
}

std::string stream_create_request(const StreamConfig& config) {
    std::string json = R"({"name":)";
    model::append_json_string(json, config.name);
    json += R"(,"subjects":[)";
    for (const std::string& subject : config.subjects) {
        if (&subject != &config.subjects.front()) json += ',';
        model::append_json_string(json, subject);
    }
    json += R"(],"storage":)";
    model::append_json_string(json, name_of(config.storage));
    json += R"(,"retention":"limits","discard":"old","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"num_replicas":)";
    model::append_json_number(json, std::int64_t{config.num_replicas});
    json += R"(,"max_age":)";
    model::append_json_number(json, std::int64_t{config.max_age.count()});
    if (config.duplicate_window.count() != 0) {
        json += R"(,"duplicate_window":)";
        model::append_json_number(json, std::int64_t{config.duplicate_window.count()});
    }
    return json += '}';
}

std::string stream_info_subject(std::string_view stream) {
    return std::string("$JS.API.STREAM.INFO.").append(stream);
}

std::string stream_create_subject(std::string_view stream) {
    return std::string("$JS.API.STREAM.CREATE.").append(stream);
}

bool is_stream_name(std::string_view name) noexcept {
    constexpr std::size_t kMaxNameSize = 255;  // of a file
    const auto is_allowed = [](char c) {
        return c > ' ' && c < 0x7f && std::string_view(".*>/\\").find(c) == std::string_view::npos;
    };
    return !name.empty() && name.size() <= kMaxNameSize && std::ranges::all_of(name, is_allowed);
}

}  // namespace relay
