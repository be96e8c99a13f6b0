/// Where and with what a number was measured. The stable part of the environment, hashed, is the
/// environment class: numbers of one class may be ranked together. The volatile part is recorded
/// with each batch.
#pragma once

#include "engine/machine.h"
#include "ir/support/json.h"

#include <cstdint>
#include <string>

namespace temper::engine {

struct EnvironmentFingerprint {
  Json stable; ///< what the class is made of, by name
  Json detail; ///< stable too, but a change does not make another class (host, full kernel release)
  uint64_t environment_class = 0;
};

EnvironmentFingerprint fingerprint(const Machine& machine);

/// Load average, processor frequency, steal time, free memory: right now.
Json volatile_state();

/// The toolchain's identity: a hash of its versions and options, whatever their order. `parts` has
/// a member for everything that decides what code comes out.
uint64_t toolchain_class(const Json& parts);

} // namespace temper::engine
