/// Strategies that can work on their next proposal while the last one is still being looked into.
#pragma once

#include "ir/support/random.h"
#include "tuner/space/space.h"

namespace temper::tuner {

class DrawsAhead {
public:
  virtual ~DrawsAhead() = default;
  /// Draws what the next `propose` is going to draw whatever becomes of the candidates before, all
  /// of it by `stream`; and frees what the last one left. `alone`: on the calling thread, which may
  /// be any where the space allows it (Space::is_shared), as long as nobody else uses the strategy;
  /// what is drawn does not depend on it.
  virtual void draw_ahead(const Space& space, Random stream, bool alone) = 0;
};

} // namespace temper::tuner
