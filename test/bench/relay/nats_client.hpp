// A client of NATS JetStream as a user would write it with libnats: the other side of the relay, and the one that looks at what
// has arrived. Errors are exceptions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nats/nats.h>

namespace bench {

struct NatsMessage {
    std::string subject, id, payload;
};

struct StreamState {
    std::int64_t messages = 0;
    std::int64_t bytes = 0;
};

class NatsClient {
public:
    // With `sends_at_once` each publish is a write to the socket; otherwise the library gathers them.
    explicit NatsClient(int port, bool sends_at_once = false);

    // Deletes the relay's stream with all its messages and the ids it knows, and makes it anew.
    void remake_stream();
    StreamState stream_state();

    // Does not wait, but for the window: at most so many messages as the relay's are without an acknowledgement.
    void publish(const char* subject, std::string_view payload, const char* id);
    void wait_for_acknowledgements();

    // Calls `receive` in a thread of the library with each message of the relay's subjects, until the next call or the end.
    void subscribe(std::function<void(natsMsg*)> receive);
    void unsubscribe();

private:
    std::unique_ptr<natsConnection, decltype(&natsConnection_Destroy)> connection_;
    std::unique_ptr<jsCtx, decltype(&jsCtx_Destroy)> jetstream_;
    std::function<void(natsMsg*)> receive_;
    std::unique_ptr<natsSubscription, decltype(&natsSubscription_Destroy)> subscription_;
};

}  // namespace bench
