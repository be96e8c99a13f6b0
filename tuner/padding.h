/// How much of a program's work is padding.
#pragma once

#include "ir/function.h"

namespace temper::tuner {

/// The share of the largest block's operations that do not read zeros of a padded copy (a block
/// that stores a choice between an element and zero, by its axes); 1 where nothing is padded. A
/// kernel may leave the others out: a convolution of a 2 x 2 image with a padded 5 x 5 window has
/// five in six of them. `flops` are the operations of the whole program; where they are fewer than
/// the block's iterations, whoever counted them left padding out already, and the share is 1.
double share_besides_padding(const ir::PrimFunc& function, double flops);

} // namespace temper::tuner
