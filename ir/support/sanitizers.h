/// Whether this is a sanitized build (presets `asan`, `tsan`). Asked only where such a build cannot
/// do what another can: its shadow memory takes terabytes of address space, so that no limit on
/// address space can be set for a program that is yet to start.
#pragma once

namespace temper {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

} // namespace temper
