// The subject under which an event is published: telemetry.<type>.<region>.<device>
//
//   telemetry.ingested.eu-west.sensor-1        type telemetry.ingested
//   telemetry.device-offline.eu-west.sensor-1  type device.offline
//   telemetry.ingested._.00:0f:00:70:91:0a     no region
//   telemetry.ingested.hall%2E2.b%20%C3%A9     region "hall.2", device "b é"
//
// Each part is exactly one token. So a subscriber selects by position, and `telemetry.*.eu-west.>` means one thing.
//
//   part            its token
//   type            the words, joined by hyphens. The word "telemetry" goes when it is the first of two, because the subject
//                   begins with it. A type has two words or more, of letters, digits and underscores.
//   region, device  the bytes, where visible ASCII stays, and everything else becomes %XX with upper-case digits. So do the
//                   characters that mean something here: dot, asterisk, greater-than and percent.
//   none            an underscore. A region or device of this name becomes %5F, so that no two values have one token.
//   long name       the first 248 bytes as above, then %~ and a hash of the name. Only the names of a database that is not in
//                   UTF-8 grow beyond 255 bytes, by conversion. A server would close the connection over a line that is too
//                   long.
//
// Percent-decoding gives each other value back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/names.hpp"

namespace relay {

inline constexpr std::string_view kSubjectPrefix = "telemetry.";
inline constexpr std::size_t kMaxTypeSize = 64;  // of the types that there are

// Names up to this size, in UTF-8, keep all of their bytes.
inline constexpr std::size_t kMaxWholeNameSize = 255;
static_assert(model::kMaxRegionSize <= kMaxWholeNameSize && model::kMaxDeviceIdSize <= kMaxWholeNameSize);

// Bytes of the longest subject: each byte of the names is escaped.
inline constexpr std::size_t kMaxSubjectSize = kSubjectPrefix.size() + kMaxTypeSize + 2 * (1 + 3 * kMaxWholeNameSize);

// A server refuses a longer line by default. Besides the subject, the line has the operation, a reply and two sizes.
inline constexpr std::size_t kServersLineLimit = 4096;
static_assert(kMaxSubjectSize + 1024 < kServersLineLimit);

// The texts are in UTF-8. An empty region is none.
void append_subject(std::string& subject, std::string_view type, std::string_view region, std::string_view device_id);

}  // namespace relay
