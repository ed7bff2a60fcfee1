#include "http/clients.hpp"

#include <stdexcept>

#include <sys/epoll.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr int kLongestSilence = 60'000;  // milliseconds
constexpr int kEvents = 64;

std::string head_of(const char* method, const std::string& path, const std::string& token) {
    return std::string(method) + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + token + "\r\n";
}

}  // namespace

HttpClients::HttpClients(int port, std::size_t count) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::runtime_error("no epoll");
    try {
        for (std::size_t i = 0; i < count; ++i) {
            clients_.push_back({Socket(port), {}, {}});
            watch(i, EPOLLIN, EPOLL_CTL_ADD);
        }
    } catch (...) {
        close(epoll_);
        throw;
    }
}

HttpClients::~HttpClients() {
    close(epoll_);
}

void HttpClients::watch(std::size_t number, unsigned events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = number;
    if (epoll_ctl(epoll_, operation, clients_[number].socket.descriptor(), &event) != 0) throw std::runtime_error("epoll_ctl");
}

bool HttpClients::begin(std::size_t number, const Next& next) {
    const std::string* request = next(number);
    if (request == nullptr) return false;
    clients_[number].unsent = *request;
    clients_[number].answer.reset();
    send(number);
    return true;
}

void HttpClients::send(std::size_t number) {
    Client& client = clients_[number];
    while (!client.unsent.empty()) {
        const std::size_t sent = client.socket.send(client.unsent);
        if (sent == 0) break;
        client.unsent.remove_prefix(sent);
    }
    const bool must_wait = !client.unsent.empty();
    if (must_wait == client.waits_for_room) return;
    client.waits_for_room = must_wait;
    watch(number, must_wait ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

void HttpClients::run(const Next& next, const Answered& answered) {
    std::size_t busy = 0;
    for (std::size_t i = 0; i < clients_.size(); ++i) busy += begin(i, next) ? 1 : 0;
    epoll_event events[kEvents];
    while (busy > 0) {
        const int count = epoll_wait(epoll_, events, kEvents, kLongestSilence);
        if (count <= 0) throw std::runtime_error("no HTTP answer within a minute");
        for (int i = 0; i < count; ++i) {
            const auto number = static_cast<std::size_t>(events[i].data.u64);
            Client& client = clients_[number];
            if ((events[i].events & EPOLLOUT) != 0) send(number);
            if ((events[i].events & ~static_cast<unsigned>(EPOLLOUT)) == 0) continue;
            client.answer.take(client.socket.receive());
            if (!client.answer.is_complete()) continue;
            answered(number, client.answer);
            if (!begin(number, next)) --busy;
        }
    }
}

std::string HttpClients::ask(const std::string& request) {
    std::string body;
    bool is_sent = false;
    run(
        [&](std::size_t client) {
            if (client != 0 || is_sent) return static_cast<const std::string*>(nullptr);
            is_sent = true;
            return &request;
        },
        [&](std::size_t, const AnswerReader& answer) {
            if (answer.status() != 200)
                throw std::runtime_error("HTTP answered " + std::to_string(answer.status()) + ": " + answer.body());
            body = answer.body();
        });
    return body;
}

std::string http_get(const std::string& path, const std::string& token) {
    return head_of("GET", path, token) + "\r\n";
}

std::string http_post(const std::string& path, const std::string& token, const std::string& json) {
    return head_of("POST", path, token) + "Content-Type: application/json\r\nContent-Length: " + std::to_string(json.size()) +
           "\r\n\r\n" + json;
}

}  // namespace bench
