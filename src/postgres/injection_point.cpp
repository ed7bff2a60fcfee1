// Carries out what a test ordered for an injection point. This file is empty in ordinary builds.
#include "postgres/injection_point.hpp"

#ifdef TELEMETRY_INJECTION_POINTS

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "error_codes.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr const char* kPauseFile = "telemetry_cqrs.pause";  // in the data directory, where every process of the server works
constexpr long kPauseInterval = 10;                         // milliseconds

enum class Action { kNone, kError, kKill, kPause };

struct Order {
    char point[40];
    Action action;
    int at_pass;
};

char* setting = nullptr;
Order order;
int pass_count = 0;

bool parse(const char* text, Order& parsed) {
    parsed = {};
    if (*text == '\0') return true;
    char action[10] = {};
    parsed.at_pass = 1;
    if (sscanf(text, "%39[^=]=%9[^:]:%d", parsed.point, action, &parsed.at_pass) < 2 || parsed.at_pass < 1) return false;
    if (strcmp(action, "error") == 0) parsed.action = Action::kError;
    if (strcmp(action, "kill") == 0) parsed.action = Action::kKill;
    if (strcmp(action, "pause") == 0) parsed.action = Action::kPause;
    return parsed.action != Action::kNone;
}

bool check(char** text, void**, GucSource) {
    Order parsed;
    if (parse(*text, parsed)) return true;
    GUC_check_errdetail("The value is \"point=action\" or \"point=action:n\"; actions are error, kill and pause.");
    return false;
}

void assign(const char* text, void*) {
    parse(text, order);
    pass_count = 0;
}

void pause() {
    struct stat file;
    while (stat(kPauseFile, &file) == 0) {
        CHECK_FOR_INTERRUPTS();
        WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPauseInterval, PG_WAIT_EXTENSION);
    }
}

}  // namespace

void define_injection_setting() {
    DefineCustomStringVariable("telemetry_cqrs.inject", "Makes a debug build fail at a place of its code.",
                               "point=action[:n]; see postgres/injection_point.hpp.", &setting, "", PGC_SUSET,
                               GUC_NOT_IN_SAMPLE, check, assign, nullptr);
}

void pass_injection_point(const char* point) {
    if (order.action == Action::kNone || strcmp(point, order.point) != 0 || ++pass_count != order.at_pass) return;
    ereport(LOG, (errmsg("telemetry_cqrs injects at \"%s\"", point), errhidestmt(true), errhidecontext(true)));
    switch (order.action) {
        case Action::kKill:
            ::kill(MyProcPid, SIGKILL);
            break;
        case Action::kPause:
            return pause();
        case Action::kError:
        case Action::kNone:
            break;
    }
    ereport(ERROR, (errcode(error_codes::kInjected), errmsg("failure at injection point \"%s\"", point)));
}

}  // namespace postgres

#endif
