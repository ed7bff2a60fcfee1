// Acting as the extension's owner for the length of a scope.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// Restores the caller on every way out by C++; where the server unwinds instead, its own abort restores the user.
class AsOwner {
public:
    explicit AsOwner(Oid owner) noexcept {
        GetUserIdAndSecContext(&user_, &context_);
        SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    }
    AsOwner(const AsOwner&) = delete;
    AsOwner& operator=(const AsOwner&) = delete;
    ~AsOwner() { SetUserIdAndSecContext(user_, context_); }

private:
    Oid user_;
    int context_;
};

}  // namespace postgres
