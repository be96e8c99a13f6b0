/// Options that lower_simt gives a tile operator which only a role's threads run
/// (ir/tir/roles.h): the first of them, and how many they are.
#pragma once

namespace temper::tir {

inline constexpr const char* kFirstThread = "temper.first_thread";
inline constexpr const char* kRoleThreads = "temper.role_threads";

} // namespace temper::tir
