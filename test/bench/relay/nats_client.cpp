#include "relay/nats_client.hpp"

#include <stdexcept>

namespace bench {
namespace {

constexpr const char* kStream = "TELEMETRY";  // the default of telemetry_cqrs.nats_stream
constexpr const char* kSubjects = "telemetry.>";
constexpr std::int64_t kWindow = 4096;         // the default of telemetry_cqrs.nats_window
constexpr std::int64_t kLongestWait = 60'000;  // milliseconds

void check(natsStatus status, const char* what) {
    if (status != NATS_OK) throw std::runtime_error(std::string(what) + ": " + natsStatus_GetText(status));
}

natsConnection* connect(int port, bool sends_at_once) {
    natsOptions* options = nullptr;
    check(natsOptions_Create(&options), "NATS options");
    const std::unique_ptr<natsOptions, decltype(&natsOptions_Destroy)> owner(options, &natsOptions_Destroy);
    check(natsOptions_SetURL(options, ("nats://127.0.0.1:" + std::to_string(port)).c_str()), "NATS URL");
    check(natsOptions_SetSendAsap(options, sends_at_once), "NATS options");
    natsConnection* connection = nullptr;
    check(natsConnection_Connect(&connection, options), "connecting to NATS");
    return connection;
}

jsCtx* jetstream_of(natsConnection* connection) {
    jsOptions options;
    check(jsOptions_Init(&options), "JetStream options");
    options.Wait = kLongestWait;
    options.PublishAsync.MaxPending = kWindow;
    options.PublishAsync.StallWait = kLongestWait;
    jsCtx* jetstream = nullptr;
    check(natsConnection_JetStream(&jetstream, connection, &options), "JetStream");
    return jetstream;
}

}  // namespace

NatsClient::NatsClient(int port, bool sends_at_once)
    : connection_(connect(port, sends_at_once), &natsConnection_Destroy),
      jetstream_(jetstream_of(connection_.get()), &jsCtx_Destroy),
      subscription_(nullptr, &natsSubscription_Destroy) {}

void NatsClient::remake_stream() {
    const natsStatus deleted = js_DeleteStream(jetstream_.get(), kStream, nullptr, nullptr);
    if (deleted != NATS_NOT_FOUND) check(deleted, "deleting the stream");
    jsStreamConfig config;
    check(jsStreamConfig_Init(&config), "stream options");
    const char* subjects[] = {kSubjects};
    config.Name = kStream;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    check(js_AddStream(nullptr, jetstream_.get(), &config, nullptr, nullptr), "making the stream");
}

StreamState NatsClient::stream_state() {
    jsStreamInfo* info = nullptr;
    check(js_GetStreamInfo(&info, jetstream_.get(), kStream, nullptr, nullptr), "looking at the stream");
    const StreamState state{static_cast<std::int64_t>(info->State.Msgs), static_cast<std::int64_t>(info->State.Bytes)};
    jsStreamInfo_Destroy(info);
    return state;
}

void NatsClient::publish(const char* subject, std::string_view payload, const char* id) {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MsgId = id;
    check(js_PublishAsync(jetstream_.get(), subject, payload.data(), static_cast<int>(payload.size()), &options), "publishing");
}

void NatsClient::wait_for_acknowledgements() {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = kLongestWait;
    check(js_PublishAsyncComplete(jetstream_.get(), &options), "waiting for acknowledgements");
}

void NatsClient::subscribe(std::function<void(natsMsg*)> receive) {
    unsubscribe();
    receive_ = std::move(receive);
    natsSubscription* subscription = nullptr;
    check(natsConnection_Subscribe(
              &subscription, connection_.get(), kSubjects,
              [](natsConnection*, natsSubscription*, natsMsg* message, void* self) {
                  static_cast<NatsClient*>(self)->receive_(message);
                  natsMsg_Destroy(message);
              },
              this),
          "subscribing");
    subscription_.reset(subscription);
    check(natsSubscription_SetPendingLimits(subscription, -1, -1), "subscribing");
    check(natsConnection_Flush(connection_.get()), "subscribing");
}

// The library's thread has ended when the subscription is gone.
void NatsClient::unsubscribe() {
    if (!subscription_) return;
    natsSubscription_Unsubscribe(subscription_.get());
    natsSubscription_WaitForDrainCompletion(subscription_.get(), kLongestWait);
    subscription_.reset();
}

}  // namespace bench
