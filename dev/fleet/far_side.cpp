#include "far_side.hpp"

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fleet {
namespace {

int port_of(const char* variable) {
    const char* text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
    return text == nullptr ? 0 : std::atoi(text);
}

}  // namespace

Socket::Socket(int port) : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor_ < 0 || connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const std::string reason = std::generic_category().message(errno);
        if (descriptor_ >= 0) close(descriptor_);
        throw std::runtime_error("port " + std::to_string(port) + ": " + reason);
    }
}

Socket::~Socket() {
    close(descriptor_);
}

void Socket::send(const std::string& bytes) {
    if (::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
        throw std::runtime_error("a server of the relay has gone");
}

void Socket::receive(std::string& bytes, int milliseconds) {
    pollfd ready{descriptor_, POLLIN, 0};
    while (poll(&ready, 1, milliseconds) > 0) {
        char buffer[65536];
        const ssize_t count = recv(descriptor_, buffer, sizeof buffer, 0);
        if (count <= 0) throw std::runtime_error("a server of the relay has gone");
        bytes.append(buffer, static_cast<std::size_t>(count));
        milliseconds = 0;
    }
}

NatsListener::NatsListener(int port) : socket_(port) {
    socket_.send("CONNECT {\"verbose\":false}\r\nSUB telemetry.> 1\r\n");
}

// MSG <subject> <sid> [reply] <size>, or HMSG with the size of the headers before that. Returns where the next frame begins; 0:
// the rest of this one has not come yet.
std::size_t NatsListener::take_one(std::size_t begin) {
    const std::size_t end = input_.find("\r\n", begin);
    if (end == std::string::npos) return 0;
    std::istringstream line(input_.substr(begin, end - begin));
    std::string verb, subject, word, last, before;
    line >> verb >> subject;
    while (line >> word) {
        before = last;
        last = word;
    }
    if (verb == "PING") socket_.send("PONG\r\n");
    if (verb != "MSG" && verb != "HMSG") return end + 2;
    const auto size = static_cast<std::size_t>(std::stoul(last));
    const std::size_t next = end + 2 + size + 2;
    if (input_.size() < next) return 0;
    const std::size_t header = verb == "HMSG" ? static_cast<std::size_t>(std::stoul(before)) : 0;
    ++messages_;
    subject_ = subject;
    payload_.assign(input_, end + 2 + header, size - header);
    return next;
}

void NatsListener::look() {
    socket_.receive(input_);
    std::size_t begin = 0;
    while (const std::size_t next = take_one(begin)) begin = next;
    input_.erase(0, begin);
}

std::string RedisReader::get(const std::string& key) {
    socket_.send("*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n");
    std::string reply;
    for (int tries = 0; tries < 20; ++tries) {
        socket_.receive(reply, 100);
        const std::size_t end = reply.find("\r\n");
        if (end == std::string::npos) continue;
        const long size = reply[0] == '$' ? std::strtol(reply.c_str() + 1, nullptr, 10) : -1;
        if (size < 0) return {};
        if (reply.size() >= end + 2 + static_cast<std::size_t>(size) + 2)
            return reply.substr(end + 2, static_cast<std::size_t>(size));
    }
    return {};
}

FarSide::FarSide() {
    if (const int port = port_of("FLEET_NATS_PORT"); port != 0) nats_.emplace(port);
    if (const int port = port_of("FLEET_REDIS_PORT"); port != 0) redis_.emplace(port);
}

void FarSide::begin(client::Connection& connection) {
    if (is_there())
        connection.prepare("relay",
                           "SELECT sink, acknowledged, lag_events + pending, state FROM telemetry.relay_status ORDER BY sink");
}

RelayFigures FarSide::look(client::Connection& connection) {
    RelayFigures figures;
    if (!is_there()) return figures;
    const client::Result rows = connection.run_prepared("relay", {});  // nats, redis
    figures.has_nats = nats_.has_value();
    figures.has_redis = redis_.has_value();
    figures.nats_acknowledged = rows.integer(0, 1);
    figures.nats_lag = rows.integer(0, 2);
    figures.nats_state = rows.text(0, 3);
    figures.redis_sent = rows.integer(1, 1);
    figures.redis_lag = rows.integer(1, 2);
    figures.redis_state = rows.text(1, 3);
    std::string device;
    if (nats_) {
        nats_->look();
        figures.nats_received = nats_->messages();
        figures.subject = nats_->subject();
        figures.payload = nats_->payload();
        device = figures.subject.substr(figures.subject.rfind('.') + 1);
    }
    if (redis_) {
        if (device.empty()) {
            const client::Result found =
                connection.run("SELECT device_id FROM telemetry.device_stats ORDER BY last_received_at DESC LIMIT 1");
            if (found.rows() > 0) device = found.text(0, 0);
        }
        figures.key = "device:stats:" + device;
        figures.value = redis_->get(figures.key);
    }
    return figures;
}

std::optional<std::int64_t> FarSide::messages_in_stream() {
    const int port = port_of("FLEET_NATS_PORT");
    if (port == 0) return std::nullopt;
    Socket socket(port);
    socket.send("CONNECT {\"verbose\":false}\r\nSUB fleet.reply 1\r\nPUB $JS.API.STREAM.INFO.TELEMETRY fleet.reply 0\r\n\r\n");
    std::string reply;
    for (int tries = 0; tries < 50; ++tries) {
        socket.receive(reply, 100);
        const std::size_t at = reply.find("\"messages\":");
        if (at != std::string::npos && reply.find(',', at) != std::string::npos) return std::atoll(reply.c_str() + at + 11);
    }
    return std::nullopt;
}

std::optional<std::int64_t> FarSide::readings_in_redis(client::Connection& connection) {
    if (!redis_) return std::nullopt;
    const std::string member = "\"sample_count\":";
    std::int64_t readings = 0;
    const client::Result devices = connection.run("SELECT device_id FROM telemetry.device_stats");
    for (int row = 0; row < devices.rows(); ++row) {
        const std::string value = redis_->get("device:stats:" + std::string(devices.text(row, 0)));
        if (const std::size_t at = value.find(member); at != std::string::npos)
            readings += std::atoll(value.c_str() + at + member.size());
    }
    return readings;
}

}  // namespace fleet
