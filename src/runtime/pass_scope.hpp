// Says whether this process is making a pass. A function that a pass calls must not store readings: the transaction would then
// append to the log that it reads.
#pragma once

namespace runtime {

class PassScope {
public:
    PassScope() noexcept { is_in_pass = true; }
    PassScope(const PassScope&) = delete;
    PassScope& operator=(const PassScope&) = delete;
    ~PassScope() { is_in_pass = false; }

    static bool is_open() noexcept { return is_in_pass; }

private:
    static inline bool is_in_pass = false;
};

}  // namespace runtime
