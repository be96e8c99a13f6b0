/// What an output holds before a kernel runs, so that what it leaves unwritten shows.
#pragma once

#include "ir/dtype.h"

namespace temper::engine {

/// A byte that makes NaN in every floating type, and an unlikely number in the others.
inline unsigned char poison_of(DataType type) { return type.is_floating() ? 0xff : 0xa5; }

} // namespace temper::engine
