// Acts as the extension's owner for the length of a scope.
#pragma once

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

// Makes the owner the current user of a scope. Objects that a DBA adds to our tables (an index on an expression, a trigger)
// call functions, and the server runs these functions as the owner. So this class also sets the settings that decide which code
// they run; as_owner.cpp names them.
//
// The destructor restores the user and the settings. It must run before the transaction ends. Where the server unwinds by
// longjmp instead, its own abort restores them. The constructor throws PgError where a setting cannot be set, and then it has
// switched nothing.
class AsOwner {
public:
    explicit AsOwner(Oid owner);
    AsOwner(const AsOwner&) = delete;
    AsOwner& operator=(const AsOwner&) = delete;
    ~AsOwner() { SetUserIdAndSecContext(caller_, caller_context_); }

    // Sets a further setting until the scope ends. Throws PgError.
    void set(const char* setting, const char* value);

private:
    SettingsScope settings_;
    Oid caller_;
    int caller_context_;
};

}  // namespace postgres
