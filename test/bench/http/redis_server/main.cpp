// The server that a user would write to give clients the statistics that Redis keeps: the other side of http_stats.
//
//   telemetry_redis_http PORT REDIS_PORT
//
// GET /devices/ID/stats is answered with the value of the key device:stats:ID. One thread serves all clients, with libuv and
// the asynchronous hiredis, over one connection to Redis. It knows no token, no percent sign in a path, and no body of a
// request.
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <uv.h>

namespace {

constexpr std::string_view kBegin = "GET /devices/", kEnd = "/stats", kHeadEnd = "\r\n\r\n";

redisAsyncContext* redis = nullptr;
char read_buffer[64 * 1024];

struct Client {
    uv_tcp_t tcp{};
    uv_write_t write{};
    std::string input;
    std::string output;
    bool is_asking = false;  // Redis will answer
    bool is_writing = false;
    bool is_closed = false;

    uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
};

void serve(Client* client);

void delete_if_unused(Client* client) {
    if (client->is_closed && !client->is_asking) delete client;
}

void close_client(Client* client) {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&client->tcp)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&client->tcp), [](uv_handle_t* handle) {
        auto* closed = static_cast<Client*>(handle->data);
        closed->is_closed = true;
        delete_if_unused(closed);
    });
}

void answer(Client* client, std::string_view status, std::string_view body) {
    client->output.assign("HTTP/1.1 ").append(status).append("\r\nContent-Type: application/json\r\nContent-Length: ");
    client->output.append(std::to_string(body.size())).append(kHeadEnd).append(body);
    uv_buf_t all = uv_buf_init(client->output.data(), static_cast<unsigned>(client->output.size()));
    const int taken = uv_try_write(client->stream(), &all, 1);
    if (taken == static_cast<int>(all.len)) return;
    if (taken < 0 && taken != UV_EAGAIN) return close_client(client);
    if (taken > 0) all = uv_buf_init(all.base + taken, static_cast<unsigned>(all.len) - static_cast<unsigned>(taken));
    client->is_writing = true;
    client->write.data = client;
    uv_write(&client->write, client->stream(), &all, 1, [](uv_write_t* request, int error) {
        auto* writer = static_cast<Client*>(request->data);
        writer->is_writing = false;
        if (error == 0) serve(writer);
    });
}

void has_value(redisAsyncContext*, void* reply_given, void* client_given) {
    const auto* reply = static_cast<const redisReply*>(reply_given);
    auto* client = static_cast<Client*>(client_given);
    client->is_asking = false;
    if (client->is_closed) return delete_if_unused(client);
    if (reply == nullptr) return close_client(client);
    if (reply->type == REDIS_REPLY_STRING)
        answer(client, "200 OK", {reply->str, reply->len});
    else
        answer(client, "404 Not Found", "{}");
    serve(client);
}

// Takes the next request, if the client has sent one and has the answer to the one before.
void serve(Client* client) {
    if (client->is_asking || client->is_writing || uv_is_closing(reinterpret_cast<uv_handle_t*>(&client->tcp)) != 0) return;
    const std::size_t end = client->input.find(kHeadEnd);
    if (end == std::string::npos) return;
    const std::string_view line = std::string_view(client->input).substr(0, client->input.find("\r\n"));
    const std::size_t id_end = line.find(kEnd, kBegin.size());
    std::string key;
    if (line.starts_with(kBegin) && id_end != line.npos)
        key.assign("device:stats:").append(line.substr(kBegin.size(), id_end - kBegin.size()));
    client->input.erase(0, end + kHeadEnd.size());
    if (key.empty()) return answer(client, "404 Not Found", "{}");
    const char* words[] = {"GET", key.c_str()};
    const std::size_t sizes[] = {3, key.size()};
    client->is_asking = redisAsyncCommandArgv(redis, has_value, client, 2, words, sizes) == REDIS_OK;
    if (!client->is_asking) close_client(client);
}

void accept_client(uv_stream_t* listener, int status) {
    if (status != 0) return;
    auto* client = new Client;
    uv_tcp_init(listener->loop, &client->tcp);
    client->tcp.data = client;
    if (uv_accept(listener, client->stream()) != 0) return close_client(client);
    uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start(
        client->stream(),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) { *buffer = uv_buf_init(read_buffer, sizeof read_buffer); },
        [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
            auto* reader = static_cast<Client*>(stream->data);
            if (count < 0) return close_client(reader);
            reader->input.append(buffer->base, static_cast<std::size_t>(count));
            serve(reader);
        });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "telemetry_redis_http PORT REDIS_PORT\n";
        return 2;
    }
    uv_loop_t* loop = uv_default_loop();
    redis = redisAsyncConnect("127.0.0.1", std::atoi(argv[2]));
    if (redis == nullptr || redis->err != 0 || redisLibuvAttach(redis, loop) != REDIS_OK) {
        std::cerr << "no connection to Redis\n";
        return 1;
    }
    sockaddr_in address{};
    uv_tcp_t listener;
    uv_tcp_init(loop, &listener);
    uv_ip4_addr("127.0.0.1", std::atoi(argv[1]), &address);
    int error = uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
    if (error == 0) error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 128, accept_client);
    if (error != 0) {
        std::cerr << "cannot listen at port " << argv[1] << ": " << uv_strerror(error) << "\n";
        return 1;
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}
