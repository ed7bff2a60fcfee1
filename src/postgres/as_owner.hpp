// Acts as the extension's owner for the length of a scope.
#pragma once

#include <optional>

#include "postgres/pg.hpp"

namespace postgres {

// A nest level of settings. At its end every setting has the value again that it had at its beginning, whatever code changed
// it.
class SettingsScope {
public:
    SettingsScope() noexcept : level_(NewGUCNestLevel()) {}
    SettingsScope(const SettingsScope&) = delete;
    SettingsScope& operator=(const SettingsScope&) = delete;
    // Does what a rollback does: it raises nothing, and it also pops the levels that an error left inside.
    ~SettingsScope() { AtEOXact_GUC(false, level_); }

private:
    int level_;
};

// P. Sets the settings that decide which code runs for the owner, until the caller's nest level of settings ends. as_owner.cpp
// names them.
void take_owners_settings();

// Makes a role, the owner mostly, the current user of a scope. Objects that a DBA adds to our tables (an index on an
// expression, a trigger) call functions, and the server runs these functions as the owner. So whatever runs them takes the
// owner's settings first: statements (postgres/spi.hpp) do so, and the append (event_log/segment_indexes.cpp) where an index
// may run code of users.
//
// The destructor restores the user. It must run before the transaction ends. Where the server unwinds by longjmp instead, its
// own abort restores the user.
class ActingAs {
public:
    explicit ActingAs(Oid role) noexcept {
        GetUserIdAndSecContext(&caller_, &caller_context_);
        SetUserIdAndSecContext(role, caller_context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    }
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;
    ~ActingAs() { SetUserIdAndSecContext(caller_, caller_context_); }

private:
    Oid caller_;
    int caller_context_;
};

// The same, with the owner's settings from the beginning to the end of the scope. The constructor throws PgError where a
// setting cannot be set, and then it has switched nothing.
class AsOwner {
public:
    explicit AsOwner(Oid owner);

    // Sets a further setting until the scope ends. Throws PgError.
    void set(const char* setting, const char* value);

private:
    SettingsScope settings_;
    std::optional<ActingAs> identity_;
};

}  // namespace postgres
