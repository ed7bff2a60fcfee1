// Defines the settings: their names, units, ranges and descriptions.
#include "runtime/settings.hpp"

#include <exception>
#include <variant>

#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "runtime/listen_address.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

Settings current;
int notify_payload_value = static_cast<int>(NotifyPayload::kEvents);

const config_enum_entry kNotifyPayloads[] = {
    {"events", static_cast<int>(NotifyPayload::kEvents), false},
    {"pointer", static_cast<int>(NotifyPayload::kPointer), false},
    {"off", static_cast<int>(NotifyPayload::kOff), false},
    {nullptr, 0, false},
};

void assign_notify_payload(int value, void*) {
    current.notify_payload = static_cast<NotifyPayload>(value);
}

int ahead_action_value = static_cast<int>(model::LimitAction::kReject);
int age_action_value = static_cast<int>(model::LimitAction::kReject);

const config_enum_entry kLimitActions[] = {
    {"reject", static_cast<int>(model::LimitAction::kReject), false},
    {"clamp", static_cast<int>(model::LimitAction::kClamp), false},
    {"quarantine", static_cast<int>(model::LimitAction::kQuarantine), false},
    {nullptr, 0, false},
};

void assign_ahead_action(int value, void*) {
    current.ahead_action = static_cast<model::LimitAction>(value);
}

void assign_age_action(int value, void*) {
    current.age_action = static_cast<model::LimitAction>(value);
}

constexpr int kSecondsAYear = 365 * 86400;
constexpr const char* kActionDetails =
    "reject refuses it with TC004; clamp stores it with the time of receipt as measured_at; quarantine keeps it in "
    "telemetry.rejected_readings, and a single call gets a receipt instead of an error.";
constexpr int kMaxStaleness = 86400 * 1000;  // milliseconds; a day
constexpr int kMaxBatchReadings = 1000000;
constexpr int kMostMetricNames = 100000;
constexpr double kMaxRate = 1000000000;
constexpr int kMaxBurst = 1000000000;

void define_bool(const char* name, bool& value, const char* description, const char* details) {
    DefineCustomBoolVariable(name, description, details, &value, value, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
}

void define_int(const char* name, int& value, int min, int max, int unit, const char* description, const char* details) {
    DefineCustomIntVariable(name, description, details, &value, value, min, max, PGC_SIGHUP, unit, nullptr, nullptr, nullptr);
}

// A rate of readings a second.
void define_rate(const char* name, double& value, const char* description, const char* details) {
    DefineCustomRealVariable(name, description, details, &value, value, 0, kMaxRate, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
}

// The setting is seen by superusers and members of pg_read_all_settings only, because a URL may hold a password.
void define_text(const char* name, char*& value, const char* initially, int flags, const char* description, const char* details,
                 GucStringCheckHook check = nullptr) {
    DefineCustomStringVariable(name, description, details, &value, initially, PGC_SIGHUP, flags, check, nullptr, nullptr);
}

// P. The server shows the words where somebody sets the setting.
bool check_listen(char** value, void**, GucSource) {
    if (*value == nullptr) return true;
    char flaw[300] = "";
    try {
        const auto parsed = parse_listen_addresses(*value);
        if (const auto* found = std::get_if<ListenFlaw>(&parsed)) strlcpy(flaw, found->text.c_str(), sizeof flaw);
    } catch (const std::bad_alloc&) {
        strlcpy(flaw, "There is no memory to read it.", sizeof flaw);
    }
    if (flaw[0] == '\0') return true;
    GUC_check_errdetail("%s", flaw);
    GUC_check_errhint("A list with commas of [database=][address:]port, such as 8080 or fleet=127.0.0.1:8080.");
    return false;
}

// P.
void define_all() {
    define_bool("telemetry_cqrs.auto_register", current.auto_register,
                "Registers an unknown device with its first accepted reading.",
                "While it is off, readings of unknown devices are refused with TC002.");
    define_bool(
        "telemetry_cqrs.start_worker", current.start_worker,
        "Starts the projector worker of each database that has the extension.",
        "While it is off, no projector runs. Commands still store readings, and telemetry.project_once() applies them.");
    define_int("telemetry_cqrs.max_ahead", current.max_ahead, 0, kSecondsAYear, GUC_UNIT_S,
               "Sets how far measured_at may be ahead of the server's clock.",
               "telemetry_cqrs.ahead_action says what becomes of a reading further ahead.");
    DefineCustomEnumVariable("telemetry_cqrs.ahead_action", "Sets what becomes of a reading with measured_at too far ahead.",
                             kActionDetails, &ahead_action_value, ahead_action_value, kLimitActions, PGC_SIGHUP, 0, nullptr,
                             assign_ahead_action, nullptr);
    define_int("telemetry_cqrs.max_age", current.max_age, 0, 68 * kSecondsAYear, GUC_UNIT_S,
               "Sets how far measured_at may be behind the server's clock.",
               "telemetry_cqrs.age_action says what becomes of an older reading. With 0 any time since 1970 will do.");
    DefineCustomEnumVariable("telemetry_cqrs.age_action", "Sets what becomes of a reading older than telemetry_cqrs.max_age.",
                             kActionDetails, &age_action_value, age_action_value, kLimitActions, PGC_SIGHUP, 0, nullptr,
                             assign_age_action, nullptr);
    define_int("telemetry_cqrs.max_metrics", current.max_metrics, 0, static_cast<int>(model::kMostMetrics), 0,
               "Sets how many metrics one reading may have, beside temperature and humidity.",
               "A reading with more is refused with TC006.");
    define_int("telemetry_cqrs.max_metric_names", current.max_metric_names, 0, kMostMetricNames, 0,
               "Sets up to how many names of metrics readings register in telemetry.metric.",
               "A reading with a further name is refused with TC006. With 0 readings register none, and any name will do. Each "
               "session keeps all registered names in memory, at about 100 bytes each.");
    define_int("telemetry_cqrs.max_devices", current.max_devices, 0, INT_MAX, 0,
               "Sets up to how many devices in telemetry.device readings of unknown devices register theirs.",
               "Beyond it, readings of unknown devices are refused with TC002. With 0 they register any number.");
    define_int("telemetry_cqrs.quarantine_retention", current.quarantine_retention, 0, 10 * kSecondsAYear, GUC_UNIT_S,
               "Sets how long refused readings are kept in telemetry.rejected_readings.", "With 0 they are kept for ever.");
    define_int("telemetry_cqrs.quarantine_rows", current.quarantine_rows, 0, INT_MAX, 0,
               "Sets how many refused readings are kept in telemetry.rejected_readings.",
               "The projector removes the oldest ones beyond that number. With 0 any number is kept.");
    define_int("telemetry_cqrs.verdict_retention", current.verdict_retention, 0, 10 * kSecondsAYear, GUC_UNIT_S,
               "Sets how long telemetry.batch_verdicts() knows what became of each reading of a batch.",
               "With 0 it knows for ever.");
    define_int("telemetry_cqrs.max_batch_readings", current.max_batch_readings, 1, kMaxBatchReadings, 0,
               "Sets how many readings one call of telemetry.ingest_telemetry_batch() may send.",
               "A call with more is refused with TC011. A call needs about 1 kB of memory for each reading, and the projector "
               "applies its readings only after its transaction commits.");
    define_rate(
        "telemetry_cqrs.device_rate", current.device_rate, "Sets how many readings a second each device may send on average.",
        "A call with more is refused with TC104, and the hint says how long to wait. With 0 there is no limit. It needs "
        "the library to be preloaded.");
    define_int("telemetry_cqrs.device_burst", current.device_burst, 1, kMaxBurst, 0,
               "Sets how many readings a device that was silent may send at once.",
               "A single call with more is admitted after a longer silence, and later ones wait the longer.");
    define_rate("telemetry_cqrs.total_rate", current.total_rate, "Sets how many readings a second a database takes on average.",
                "A call with more is refused with TC104. With 0 there is no limit. It needs the library to be preloaded.");
    define_int("telemetry_cqrs.total_burst", current.total_burst, 1, kMaxBurst, 0,
               "Sets how many readings a database takes at once after a silence.", nullptr);
    define_int("telemetry_cqrs.max_backlog", current.max_backlog, 0, INT_MAX, 0,
               "Sets how many events may wait for the projector.",
               "While more wait, each call that sends readings is refused with TC105. With 0 any number may wait. It needs the "
               "library to be preloaded.");
    DefineCustomEnumVariable("telemetry_cqrs.notify_payload", "Sets what a notification on channel telemetry_ingested carries.",
                             "events sends the number of the batch and, when they fit, its events; pointer sends the number "
                             "only; off sends nothing. Every role that can connect can listen.",
                             &notify_payload_value, notify_payload_value, kNotifyPayloads, PGC_SIGHUP, 0, nullptr,
                             assign_notify_payload, nullptr);
    define_int("telemetry_cqrs.coalesce", current.coalesce, 0, 1000, GUC_UNIT_MS,
               "Sets how long at least the projector lets events gather after a step that applied 10 events or more.",
               "A longer time makes larger batches and costs freshness. After a smaller step the projector rests for 10 "
               "milliseconds at "
               "most.");
    define_int("telemetry_cqrs.poll_interval", current.poll_interval, 10, 60000, GUC_UNIT_MS,
               "Sets how often the projector looks for events without being woken.",
               "A commit wakes it, but COMMIT PREPARED does not.");
    define_int("telemetry_cqrs.batch_retention", current.batch_retention, 0, 10 * kSecondsAYear, GUC_UNIT_S,
               "Sets how long telemetry.read_events() can give the events of each single batch.",
               "Older batches are merged with their neighbours. With 0 the projector merges none.");
    define_int("telemetry_cqrs.audit_interval", current.audit_interval, 0, 10 * kSecondsAYear, GUC_UNIT_S,
               "Sets how often the projector computes each projection anew and compares.",
               "telemetry.audit has the results. With 0 it does not.");
    define_int(
        "telemetry_cqrs.expected_interval", current.expected_interval, 0, kSecondsAYear, GUC_UNIT_S,
        "Sets how often a device is expected to send, unless its registration says otherwise.",
        "telemetry.device_liveness shows which devices are late and offline. With 0 nothing is expected of such a device.");
    define_int("telemetry_cqrs.liveness_interval", current.liveness_interval, 0, 86400, GUC_UNIT_S,
               "Sets how often the projector looks which devices have gone offline or come back.",
               "It stores an event device.offline or device.online for each change. With 0 it does not.");
    define_int("telemetry_cqrs.launcher_interval", current.launcher_interval, 100, 600000, GUC_UNIT_MS,
               "Sets how often the launcher looks for new databases.", nullptr);
    DefineCustomIntVariable(
        "telemetry_cqrs.max_staleness", "Sets how old a read model may be when this session reads it.",
        "A query of an older one fails with TC103. With 0 no query fails. It is for views with a column as_of, "
        "and for telemetry.as_of().",
        &current.max_staleness, current.max_staleness, 0, kMaxStaleness, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    define_text(
        "telemetry_cqrs.nats_url", current.nats_url, "", GUC_SUPERUSER_ONLY,
        "Sets the NATS servers to which the relay publishes events.",
        "A list of nats://[user:password@]host[:port] or tls://..., with commas. Empty: the relay publishes nothing there.");
    define_text("telemetry_cqrs.nats_stream", current.nats_stream, "TELEMETRY", 0,
                "Sets the JetStream stream that takes the events.",
                "The relay makes it for the subjects telemetry.> if it is missing and the role may.");
    define_int("telemetry_cqrs.nats_window", current.nats_window, 1, 65536, 0,
               "Sets how many messages may be on the way to NATS without an acknowledgement.", nullptr);
    define_text("telemetry_cqrs.redis_url", current.redis_url, "", GUC_SUPERUSER_ONLY,
                "Sets the Redis server that gets the statistics of each device.",
                "redis://[user:password@]host[:port][/database] or rediss://... Empty: the relay sends nothing there.");
    define_int("telemetry_cqrs.redis_expiry", current.redis_expiry, 0, 10 * kSecondsAYear, GUC_UNIT_S,
               "Sets how long Redis keeps the statistics of a device that sends nothing.", "With 0 it keeps them for ever.");
    define_text("telemetry_cqrs.relay_ca_file", current.relay_ca_file, "", GUC_SUPERUSER_ONLY,
                "Sets a file of certificates (PEM) of the authorities that the relay trusts.", "Empty: those of the system.");
    define_text(
        "telemetry_cqrs.http_listen", current.http_listen, "", 0, "Sets where HTTP is answered.",
        "A list with commas of [database=][address:]port. Without an address it is 127.0.0.1; without a database the entry "
        "is for the database that has the extension. Empty: nobody answers HTTP. It needs the library to be preloaded.",
        check_listen);
    define_int("telemetry_cqrs.http_workers", current.http_workers, 1, kMostHttpWorkers, 0,
               "Sets how many processes answer HTTP for a database.",
               "They share its ports. Each takes one of max_worker_processes.");
    define_int("telemetry_cqrs.http_connections", current.http_connections, 1, 100000, 0,
               "Sets how many connections each process that answers HTTP may have.",
               "A client beyond that number is answered 503. The process also needs as many open files.");
    define_int("telemetry_cqrs.http_body", current.http_body, 1, 1024 * 1024, GUC_UNIT_KB,
               "Sets how large the body of an HTTP request may be.",
               "A larger one is answered 413. For a compressed body it bounds both sizes.");
    define_int(
        "telemetry_cqrs.http_timeout", current.http_timeout, 100, 600000, GUC_UNIT_MS,
        "Sets how long an HTTP request may take.",
        "It bounds how long a client takes to send it, how long a statement or a wait for fresh statistics lasts, and how "
        "long the client takes no bytes of the answer.");
    define_text("telemetry_cqrs.http_anonymous_role", current.http_anonymous_role, "", 0,
                "Sets the role as which HTTP requests without a token act.", "Empty: such requests are answered 401.");
    define_text("telemetry_cqrs.http_allow_origin", current.http_allow_origin, "", 0,
                "Sets the origin whose web pages may use HTTP (CORS), such as https://fleet.example.com.",
                "* stands for each origin. Empty: only pages of the server itself may.");
    postgres::define_injection_setting();
    MarkGUCPrefixReserved("telemetry_cqrs");
}

}  // namespace

const Settings& settings() noexcept {
    return current;
}

void define_settings() {
    postgres::guarded(define_all);
}

}  // namespace runtime
