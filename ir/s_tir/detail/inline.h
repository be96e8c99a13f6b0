/// What compute_inline and reverse_compute_inline share.
#pragma once

#include "ir/s_tir/detail/nest.h"

namespace temper::s_tir {

/// The only statement of the block when it is a plain element store; an error otherwise.
Result<const BufferStore*> require_single_store(const Context& context, const Value& at,
                                                const Block& block);
/// The value may be computed any number of times, anywhere: no impure calls, no names defined
/// inside.
bool may_be_repeated(const Expr& value);

/// The scope with the block taken out; loops that held nothing else go with it.
struct Removed {
  Stmt body;                        ///< of the scope block
  std::vector<Applied::Move> moved; ///< the block and those loops
};
Removed remove_from_scope(const ScopedBlock& scoped);

/// `block` with loads of `buffer` replaced by `replace(load)`, reads and writes computed anew in
/// every block below that read it. Null when the buffer is used in a way that is not a plain load.
Block replace_loads(const Block& block, const Buffer& buffer,
                    FunctionRef<Expr(const BufferLoad&)> replace);

/// Fits an index to the type of an axis.
Expr to_type(const Expr& index, DataType dtype);

} // namespace temper::s_tir
