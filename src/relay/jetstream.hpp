// The requests to NATS JetStream and its replies, as JSON.
//
//   request                         subject                           reply
//   publish a message               its own, which a stream covers    PublishAck or JetStreamError
//   ask for a stream                $JS.API.STREAM.INFO.<name>        StreamInfo or JetStreamError
//   make a stream                   $JS.API.STREAM.CREATE.<name>      the same; a stream that is there with this very
//                                                                     configuration is no error
//
// A reply that is none of these is a JsonFlaw. The status 503 in place of a reply says that no stream covers the subject, or
// that the server has no JetStream.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "relay/json_object.hpp"

namespace relay {

struct PublishAck {
    std::string stream;
    std::uint64_t sequence = 0;  // of the message in the stream
    bool is_duplicate = false;   // the stream had the message id already, at that sequence
};

struct JetStreamError {
    int code = 0;      // as of HTTP
    int err_code = 0;  // says more than code; 0 from servers before 2.4
    std::string description;
};

// Values of err_code.
inline constexpr int kStreamNameInUse = 10058;  // a stream of this name has another configuration
inline constexpr int kStreamNotFound = 10059;

enum class StreamStorage { kFile, kMemory };

struct StreamConfig {
    std::string name;
    std::vector<std::string> subjects;
    StreamStorage storage = StreamStorage::kFile;
    int num_replicas = 1;
    std::chrono::nanoseconds max_age{};           // of a message; 0: no limit
    std::chrono::nanoseconds duplicate_window{};  // a stream remembers ids so long; 0 asks for the server's default
};

struct StreamInfo {
    StreamConfig config;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t first_sequence = 0;
    std::uint64_t last_sequence = 0;
};

std::variant<PublishAck, JetStreamError, JsonFlaw> parse_publish_ack(std::string_view json);
std::variant<StreamInfo, JetStreamError, JsonFlaw> parse_stream_reply(std::string_view json);

// The payload that asks to make a stream without limits besides max_age.
std::string stream_create_request(const StreamConfig& config);

// `stream` is a stream's name (is_stream_name).
std::string stream_info_subject(std::string_view stream);
std::string stream_create_subject(std::string_view stream);

// A stream's name is one token of a subject, and a name of a file on the server.
bool is_stream_name(std::string_view name) noexcept;

}  // namespace relay
