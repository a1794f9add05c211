// The version of the wire, agreed at the WebSocket hello and in the X-Ingle-Protocol header.
// It rises by one with every change that an older client could not read.
#pragma once

namespace ingle::protocol {

inline constexpr int kProtocolVersion = 1;
// The oldest version this daemon still speaks.
inline constexpr int kProtocolVersionMin = 1;

}  // namespace ingle::protocol
