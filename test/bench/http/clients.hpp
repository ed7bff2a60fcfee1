// Clients that keep their connections: each sends a request, waits for the answer, and sends the next one. One thread serves
// all.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/answer_reader.hpp"
#include "http/socket.hpp"

namespace bench {

class HttpClients {
public:
    // Returns the next request of this client; null: it is done. The bytes must stay until the answer has come.
    using Next = std::function<const std::string*(std::size_t client)>;
    using Answered = std::function<void(std::size_t client, const AnswerReader& answer)>;

    HttpClients(int port, std::size_t count);
    HttpClients(const HttpClients&) = delete;
    HttpClients& operator=(const HttpClients&) = delete;
    ~HttpClients();

    // Returns when every client is done. Throws when no answer comes for a minute.
    void run(const Next& next, const Answered& answered);

    // Sends one request and returns the body. Throws where the status is not 200.
    std::string ask(const std::string& request);

private:
    struct Client {
        Socket socket;
        std::string_view unsent;
        AnswerReader answer;
        bool waits_for_room = false;
    };
    bool begin(std::size_t number, const Next& next);
    void send(std::size_t number);
    void watch(std::size_t number, unsigned events, int operation);

    int epoll_;
    std::vector<Client> clients_;
};

// A whole request. The token stands for a role of the database.
std::string http_get(const std::string& path, const std::string& token);
std::string http_post(const std::string& path, const std::string& token, const std::string& json);

}  // namespace bench
