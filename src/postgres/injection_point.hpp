// Injection points: a debug build (make DEBUG=1) fails, dies or stands still there when a test asks for it. Ordinary builds
// have neither the points nor the setting.
//
//   SET telemetry_cqrs.inject = 'state_written=error:3';    -- point=action, and at which pass of this process (default 1)
//
//   error   raises TC999
//   kill    ends the process by SIGKILL
//   pause   waits while the file "telemetry_cqrs.pause" is in the data directory; a cancel ends the wait
//
// Each action first writes a line to the server log. Counting begins when the setting is set. A worker takes the setting from
// the configuration.
#pragma once

#ifdef TELEMETRY_INJECTION_POINTS

#include "postgres/error.hpp"

namespace postgres {

// P. Both functions.
void define_injection_setting();
void pass_injection_point(const char* point);

}  // namespace postgres

// The first is for guarded blocks, the second for other code.
#define TELEMETRY_INJECTION_POINT_IN_P(point) ::postgres::pass_injection_point(point)
#define TELEMETRY_INJECTION_POINT(point) ::postgres::guarded([] { ::postgres::pass_injection_point(point); })

#else

namespace postgres {

inline void define_injection_setting() {}

}  // namespace postgres

#define TELEMETRY_INJECTION_POINT_IN_P(point) static_cast<void>(0)
#define TELEMETRY_INJECTION_POINT(point) static_cast<void>(0)

#endif
