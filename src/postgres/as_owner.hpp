// Acting as the extension's owner for the length of a scope.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// A nest level of settings: when the scope ends, every setting has the value again that it had at its beginning, whoever set
// it.
class SettingsScope {
public:
    SettingsScope() noexcept : level_(NewGUCNestLevel()) {}
    SettingsScope(const SettingsScope&) = delete;
    SettingsScope& operator=(const SettingsScope&) = delete;
    // As when a transaction is rolled back: raises nothing, and also pops the levels that an error left inside.
    ~SettingsScope() { AtEOXact_GUC(false, level_); }

private:
    int level_;
};

// Objects that a DBA adds to our tables (an index on an expression, a trigger) call functions, and in this scope they run as
// the owner. So each switch of the user comes with the settings that decide which code that is: see as_owner.cpp.
//
// Restores user and settings on every way out by C++, and ends before the transaction does. Where the server unwinds instead,
// its own abort does the same. Throws PgError where a setting cannot be set; then nothing has been switched.
class AsOwner {
public:
    explicit AsOwner(Oid owner);
    AsOwner(const AsOwner&) = delete;
    AsOwner& operator=(const AsOwner&) = delete;
    ~AsOwner() { SetUserIdAndSecContext(caller_, caller_context_); }

    // A further setting, until the scope ends. Throws PgError.
    void set(const char* setting, const char* value);

private:
    SettingsScope settings_;
    Oid caller_;
    int caller_context_;
};

}  // namespace postgres
