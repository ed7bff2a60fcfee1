// The settings telemetry_cqrs.*. All of them can change when the server reloads its configuration.
#pragma once

#include "model/policy.hpp"

namespace runtime {

enum class NotifyPayload : int { kEvents, kPointer, kOff };

inline constexpr int kMostHttpWorkers = 8;  // of a database

// Each member has the name of its setting, without the prefix.
struct Settings {
    bool auto_register = true;                                      // register unknown devices with their first reading
    bool start_worker = true;                                       // the launcher and commands start projectors
    int max_ahead = 300;                                            // seconds measured_at may be ahead of the server's clock
    model::LimitAction ahead_action = model::LimitAction::kReject;  // what becomes of a reading further ahead
    int max_age = 0;                                                // seconds measured_at may be behind; 0: any time will do
    model::LimitAction age_action = model::LimitAction::kReject;    // what becomes of an older reading
    int max_metrics = 64;                                           // metrics of one reading, beside temperature and humidity
    int max_metric_names = 10000;                                   // that readings may register; 0: they register none
    int max_devices = 1000000;                              // in the registry, for readings to register one; 0: any number
    int quarantine_retention = 30 * 86400;                  // seconds for which refused readings are kept; 0: for ever
    int quarantine_rows = 1000000;                          // refused readings that are kept; 0: any number
    int verdict_retention = 7 * 86400;                      // seconds for which verdicts of batches are kept; 0: for ever
    int max_batch_readings = 100000;                        // readings that one call may send
    double device_rate = 0;                                 // readings a second of each device; 0: no limit
    int device_burst = 100;                                 // readings of a device at once
    double total_rate = 0;                                  // readings a second of a database; 0: no limit
    int total_burst = 100000;                               // readings of a database at once
    int max_backlog = 0;                                    // events that may wait for the projector; 0: any number
    NotifyPayload notify_payload = NotifyPayload::kEvents;  // what a notification carries
    int coalesce = 2;               // least milliseconds for which the projector lets events gather after a busy step
    int poll_interval = 2000;       // milliseconds after which the projector looks without being woken
    int batch_retention = 86400;    // seconds for which rows of telemetry.batch are kept; 0: for ever
    int audit_interval = 0;         // seconds between two audits of a projection; 0: none
    int expected_interval = 0;      // seconds between two readings of a device of which nothing else is said; 0: not known
    int liveness_interval = 0;      // seconds between two looks which devices are offline; 0: none
    int max_staleness = 0;          // milliseconds, of the session; 0: any age will do
    int launcher_interval = 5000;   // milliseconds between two looks for new databases
    char* nats_url = nullptr;       // empty: the relay sends nothing to NATS
    char* nats_stream = nullptr;    // its name
    int nats_window = 4096;         // messages that may lack an acknowledgement
    char* redis_url = nullptr;      // empty: the relay sends nothing to Redis
    int redis_expiry = 86400;       // seconds after which Redis forgets a device; 0: never
    char* relay_ca_file = nullptr;  // certificates of authorities; empty: those of the system
    char* http_listen = nullptr;    // runtime/listen_address.hpp; empty: nobody answers HTTP
    int http_workers = 1;           // processes that answer HTTP for a database
    int http_connections = 1000;    // connections of each of them
    int http_body = 16384;          // kilobytes that the body of a request may have, also when it is unpacked
    int http_timeout = 10000;       // milliseconds for sending a request, for a statement, and for taking an answer
    char* http_anonymous_role = nullptr;  // as which requests without a token act; empty: they are refused
    char* http_allow_origin = nullptr;    // the origin whose pages may read the answers (CORS); empty: none
};

const Settings& settings() noexcept;

// Has a setting of type text a value?
inline bool is_set(const char* text) noexcept {
    return text != nullptr && *text != '\0';
}

// Called once, by _PG_init.
void define_settings();

}  // namespace runtime
