// The role of HTTP: it listens, and answers.
//
// A turn answers the requests that have come, each in a short transaction. Between two turns libuv serves the connections, and
// no transaction is open.
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/service.hpp"
#include "http/server.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/event_loop.hpp"
#include "postgres/transaction.hpp"
#include "runtime/listen_address.hpp"
#include "runtime/port_claims.hpp"
#include "runtime/rest.hpp"
#include "runtime/settings.hpp"
#include "worker/database_worker.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr runtime::SteadyTime kMillisecond = 1000;

// Each connection is an open file. The server's own limit counts the files of tables only.
void allow_files(int count) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = static_cast<rlim_t>(count) + static_cast<rlim_t>(max_files_per_process) + 100;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

class Http : public Work {
public:
    bool writes() const override { return false; }
    void begin_turn() override {}
    WorkDone do_some() override;
    void rest(DatabaseWorker& worker) override;

private:
    void follow_settings(const DatabaseWorker& worker);
    void listen(const std::string& database);

    postgres::EventLoop loop_;
    http::Server server_{loop_};
    api::Service service_{server_};
    std::string listens_by_;                     // the setting that is in force
    std::optional<postgres::ErrorReport> flaw_;  // why it does not listen
    runtime::SteadyTime listen_again_at_ = 0;
    std::optional<bool> wants_news_;
    int allowed_connections_ = 0;  // for which the process may open files
};

std::string name_of(Oid database) {
    postgres::Transaction transaction;
    const NameData name = postgres::guarded([database] {
        NameData found{};
        if (const char* text = get_database_name(database)) namestrcpy(&found, text);
        return found;
    });
    transaction.commit();
    return NameStr(name);
}

postgres::ErrorReport cannot_listen(const std::string& address, const std::string& reason) {
    return {ERRCODE_CONFIG_FILE_ERROR,
            "cannot answer HTTP at " + address + ": " + reason,
            {},
            "telemetry_cqrs.http_listen names the addresses. The worker tries again.",
            {}};
}

void Http::listen(const std::string& database) {
    flaw_.reset();
    server_.stop_listening();
    const auto addresses = runtime::addresses_of(database, runtime::settings().http_listen);
    std::vector<int> ports;
    ports.reserve(addresses.size());
    for (const auto& each : addresses) ports.push_back(each.port);
    if (const Oid other = runtime::claim_ports(ports); OidIsValid(other)) {
        flaw_ = cannot_listen(runtime::text_of(addresses.front()), "database \"" + name_of(other) + "\" answers there");
        flaw_->hint = "Give each database a port of its own in telemetry_cqrs.http_listen: fleet=8080, lab=8081.";
        return;
    }
    for (const auto& each : addresses) {
        const auto reason = server_.listen(each.host, each.port);
        if (!reason) continue;
        flaw_ = cannot_listen(runtime::text_of(each), *reason);
        server_.stop_listening();
        return;
    }
}

void Http::follow_settings(const DatabaseWorker& worker) {
    const runtime::Settings& settings = runtime::settings();
    server_.set_limits({.most_connections = static_cast<std::size_t>(settings.http_connections),
                        .most_body_bytes = static_cast<std::size_t>(settings.http_body) * 1024,
                        .timeout = settings.http_timeout * kMillisecond});
    if (allowed_connections_ != settings.http_connections) {
        allowed_connections_ = settings.http_connections;
        allow_files(allowed_connections_);
    }
    const runtime::SteadyTime now = runtime::steady_time();
    if (listens_by_ == settings.http_listen && (!flaw_ || now < listen_again_at_)) return;
    listens_by_ = settings.http_listen;
    listen_again_at_ = now + settings.poll_interval * kMillisecond;
    listen(worker.database());
}

WorkDone Http::do_some() {
    postgres::guarded([] { pgstat_report_activity(STATE_RUNNING, "answering"); });
    service_.serve();
    WorkDone done;
    done.failure = flaw_;
    return done;
}

void Http::rest(DatabaseWorker& worker) {
    follow_settings(worker);
    if (wants_news_ != service_.wants_news()) {
        wants_news_ = service_.wants_news();
        runtime::want_news(worker.seat(), *wants_news_);
    }
    worker.report_idle();
    const runtime::SteadyTime now = runtime::steady_time();
    const runtime::SteadyTime due_at = std::min(service_.due_at(), now + runtime::settings().poll_interval * kMillisecond);
    if (server_.has_received()) {  // the service has left some for the next turn, so that the others are heard as well
        (void)loop_.wait(0);
        return;
    }
    (void)worker.wait_in(loop_, std::max<long>(1, static_cast<long>((due_at - now + kMillisecond - 1) / kMillisecond)));
}

}  // namespace
}  // namespace worker

extern "C" PGDLLEXPORT void telemetry_http_main(Datum argument) {
    postgres::entry_point([argument] {
        worker::serve_database(runtime::Role::kHttp, argument,
                               []() -> std::unique_ptr<worker::Work> { return std::make_unique<worker::Http>(); });
    });
}
