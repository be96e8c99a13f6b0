/// Layouts in scripts. They are values of the compile-time Python, and expressions in annotations.
///
///   T.Layout((64, 64), [(64, 64), (64, 1)], swizzle=(3, 3, 3))      by digits, see ir/tir/layout.h
///   T.Layout((64, 64), lambda i, j: [i // 8, j, i % 8])             by what it does: the physical
///                                                                   index, row-major
///   T.Fragment((16, 8), lambda i, j: (i % 8 * 4 + j // 2, i // 8 * 2 + j % 2))   thread and
///   register
#pragma once

#include "ir/script/evaluator.h"

namespace temper::script {

Value layout_value(Evaluator& evaluator, CallArguments& call);
/// T.hardware_fragment("mma.m16n8k16.A").
Value hardware_fragment_value(Evaluator& evaluator, CallArguments& call);
/// T.make_swizzled_layout(A_shared): the widest XOR swizzle that fits the buffer's rows.
Value swizzled_layout_value(Evaluator& evaluator, CallArguments& call);

} // namespace temper::script
