// A client of Redis as a user would write it with hiredis: the other side of the relay, and the one that looks at what has
// arrived. Errors are exceptions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hiredis/hiredis.h>

namespace bench {

using RedisValues = std::vector<std::pair<std::string, std::string>>;  // keys and values

class RedisClient {
public:
    explicit RedisClient(int port);

    void remove_everything();
    std::int64_t key_count();
    bool has(const std::string& key);

    // Every key that begins so, with its value.
    RedisValues values(const std::string& prefix);

    // Pipelined: the server has the next thousand commands while the replies to the last thousand are read.
    void set(const RedisValues& values, int expiry_seconds);

private:
    struct FreeReply {
        void operator()(redisReply* reply) const { freeReplyObject(reply); }
    };
    using Reply = std::unique_ptr<redisReply, FreeReply>;

    void append(const std::vector<std::string_view>& words);
    Reply next_reply();
    Reply run(const std::vector<std::string_view>& words);

    std::unique_ptr<redisContext, decltype(&redisFree)> context_;
};

}  // namespace bench
