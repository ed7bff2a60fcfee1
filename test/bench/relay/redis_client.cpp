#include "relay/redis_client.hpp"

#include <algorithm>
#include <stdexcept>

namespace bench {
namespace {

constexpr std::size_t kPipelined = 1000;

}  // namespace

RedisClient::RedisClient(int port) : context_(redisConnect("127.0.0.1", port), &redisFree) {
    if (!context_ || context_->err != 0)
        throw std::runtime_error(std::string("connecting to Redis: ") + (context_ ? context_->errstr : "out of memory"));
}

void RedisClient::append(const std::vector<std::string_view>& words) {
    const char* texts[8];
    std::size_t sizes[8];
    if (words.size() > std::size(texts)) throw std::logic_error("a Redis command of more than 8 words");
    for (std::size_t i = 0; i < words.size(); ++i) {
        texts[i] = words[i].data();
        sizes[i] = words[i].size();
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts, sizes) != REDIS_OK)
        throw std::runtime_error(std::string("Redis: ") + context_->errstr);
}

RedisClient::Reply RedisClient::next_reply() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK) throw std::runtime_error(std::string("Redis: ") + context_->errstr);
    Reply found(static_cast<redisReply*>(reply));
    if (found->type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string("Redis: ") + found->str);
    return found;
}

RedisClient::Reply RedisClient::run(const std::vector<std::string_view>& words) {
    append(words);
    return next_reply();
}

void RedisClient::remove_everything() {
    run({"FLUSHALL"});
}

std::int64_t RedisClient::key_count() {
    return run({"DBSIZE"})->integer;
}

bool RedisClient::has(const std::string& key) {
    return run({"EXISTS", key})->integer == 1;
}

RedisValues RedisClient::values(const std::string& prefix) {
    RedisValues found;
    const std::string pattern = prefix + "*";
    std::string cursor = "0";
    do {
        const Reply page = run({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
        cursor = page->element[0]->str;
        const redisReply& keys = *page->element[1];
        for (std::size_t i = 0; i < keys.elements; ++i) append({"GET", {keys.element[i]->str, keys.element[i]->len}});
        for (std::size_t i = 0; i < keys.elements; ++i) {
            const Reply value = next_reply();
            found.emplace_back(std::string(keys.element[i]->str, keys.element[i]->len), std::string(value->str, value->len));
        }
    } while (cursor != "0");
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());  // SCAN may give a key twice
    return found;
}

void RedisClient::set(const RedisValues& values, int expiry_seconds) {
    const std::string expiry = std::to_string(expiry_seconds);
    std::size_t replies = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        append({"SET", values[i].first, values[i].second, "EX", expiry});
        if ((i + 1) % kPipelined != 0) continue;
        int is_written = 0;
        while (is_written == 0)
            if (redisBufferWrite(context_.get(), &is_written) != REDIS_OK)
                throw std::runtime_error(std::string("Redis: ") + context_->errstr);
        for (; replies + kPipelined <= i; ++replies) next_reply();
    }
    for (; replies < values.size(); ++replies) next_reply();
}

}  // namespace bench
