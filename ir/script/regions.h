/// begin:end as Range and back, and the regions that a block reads and writes when its text does
/// not say so.
#pragma once

#include "ir/s_tir/block.h"

#include <vector>

namespace temper::script {

/// end - begin, simplified so that end_of gives the same text again: [0, n) has extent n, and
/// [b, b + n) has extent n. Both have one type.
ir::Expr extent_between(const ir::Expr& begin, const ir::Expr& end);
/// The end of a half-open range as it is printed.
ir::Expr end_of(const ir::Range& range);

/// What `body` (and `init`, which may be null) reads and writes, in order of appearance: one region
/// per buffer, loops inside the block covered, unions as boxes. Buffers that the block allocates
/// are left out; views made by its match_buffers stand for their source. With an init, what is
/// written is not counted as read.
struct Accesses {
  std::vector<ir::BufferRegion> reads;
  std::vector<ir::BufferRegion> writes;
};
Accesses infer_accesses(const ir::Stmt& body, const ir::Stmt& init,
                        const std::vector<ir::Buffer>& allocated,
                        const std::vector<s_tir::MatchBufferRegion>& views);

} // namespace temper::script
