// Rules of blocks. The values of the axes belong to the outside, everything else to the inside,
// which does not see the loops around; what the regions of an inner block say is what it does, and
// must be covered by the regions of the outer one.
#include "ir/detail/verifier.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/layer.h"
#include "ir/walk.h"

namespace temper::s_tir {
namespace {

using verifier::AccessScope;
using verifier::Definition;
using verifier::Verifier;

bool verify_axes(Verifier& verifier, const SBlockRealize& realize, const Stmt& stmt) {
  const SBlock& block = *realize.block;
  if (realize.iter_values.size() != block.iter_vars.size())
    return verifier.fail(stmt, "the block has " + std::to_string(block.iter_vars.size()) +
                                   " axes and " + std::to_string(realize.iter_values.size()) +
                                   " values for them");
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const IterVar& iter = block.iter_vars[i];
    if (!iter.var || !iter.var->dtype.is_integral() || !iter.var->dtype.is_scalar())
      return verifier.fail(stmt, "an axis is not an integer variable");
    if (iter.type > IterType::kOpaque)
      return verifier.fail(stmt, "axis '" + iter.var->name + "' has a type that does not exist");
    if (!verifier.typed(realize.iter_values[i], iter.var->dtype, "the value of an axis") ||
        !verifier.typed(iter.domain.min, iter.var->dtype, "the start of an axis") ||
        !verifier.typed(iter.domain.extent, iter.var->dtype, "the extent of an axis"))
      return false;
  }
  return verifier.condition(realize.predicate);
}

/// Strides and offsets of a matched buffer may be variables that it defines.
bool define_symbols(Verifier& verifier, const Buffer& buffer, const Stmt& stmt) {
  std::vector<Expr> symbols(buffer->strides);
  if (buffer->elem_offset)
    symbols.push_back(buffer->elem_offset);
  for (const Expr& symbol : symbols) {
    if (!symbol)
      return verifier.fail(stmt, "a matched buffer has a stride missing");
    if (const Var var = symbol.as_ref<VarNode>();
        var && !verifier.is_known(var) && !verifier.define(var, Definition::kValue))
      return false;
  }
  return true;
}

bool verify_realize(Verifier& verifier, const Stmt& stmt) {
  const auto& realize = static_cast<const SBlockRealize&>(*stmt);
  if (!realize.block)
    return verifier.fail(stmt, "a realize has no block");
  const SBlock& block = *realize.block;
  const bool is_root = verifier.at_function_body();
  Verifier::Scope outer(verifier, "block " + block.name);
  if (!verify_axes(verifier, realize, stmt))
    return false;
  {
    Verifier::Scope inner(verifier, "");
    const int breakable = std::exchange(verifier.breakable_loops, 0);
    if (!is_int(realize.predicate, 1))
      verifier.guard(realize.predicate);
    ++verifier.block_depth;
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      const IterVar& iter = block.iter_vars[i];
      if (!verifier.define(iter.var, Definition::kAxis))
        return false;
      verifier.axis(iter.var, iter.domain, realize.iter_values[i]);
    }
    AccessScope scope;
    scope.name = block.name;
    scope.reads = &block.reads;
    scope.writes = &block.writes;
    scope.reads_own_writes = static_cast<bool>(block.init);
    scope.declares = !is_root || !block.reads.empty() || !block.writes.empty();
    scope.first_inner = verifier.inner_count();
    scope.first_guard = verifier.guard_count();
    scope.first_local = verifier.local_count();
    for (const Buffer& buffer : block.alloc_buffers) {
      if (!buffer)
        return verifier.fail(stmt, "an allocated buffer is missing");
      if (!verifier.buffer_parts(buffer) || !verifier.define(buffer))
        return false;
      verifier.local(buffer);
    }
    for (const BufferRegion& region : block.reads)
      if (!verifier.region(region))
        return false;
    for (const BufferRegion& region : block.writes)
      if (!verifier.region(region))
        return false;
    verifier.scopes.push_back(std::move(scope));
    for (const MatchBufferRegion& match : block.match_buffers) {
      if (!match.buffer || !match.source.buffer)
        return verifier.fail(stmt, "a matched buffer is missing");
      if (!verifier.region(match.source) || !verifier.inside(match.source, stmt) ||
          !define_symbols(verifier, match.buffer, stmt) || !verifier.buffer_parts(match.buffer) ||
          !verifier.define(match.buffer))
        return false;
      if (match.buffer->dtype != match.source.buffer->dtype ||
          match.buffer->shape.size() > match.source.region.size())
        return verifier.fail(stmt, "matched buffer '" + match.buffer->name +
                                       "' does not fit the region of '" +
                                       match.source.buffer->name + "'");
      // What the view is used for is not looked into: its region counts as read or written.
      verifier.local(match.buffer);
    }
    if (!verifier.annotations(block.annotations, "a block"))
      return false;
    if (block.init) {
      Verifier::Scope init(verifier, "init");
      if (!verifier.stmt(block.init))
        return false;
    }
    if (!verifier.stmt(block.body))
      return false;
    verifier.scopes.pop_back();
    --verifier.block_depth;
    verifier.breakable_loops = breakable;
  }
  // Outside, the block does what it declares, at the values of its axes.
  if (verifier.scopes.empty() || !verifier.scopes.back().declares)
    return true;
  VarMap axes;
  for (size_t i = 0; i < block.iter_vars.size(); ++i)
    axes.emplace(block.iter_vars[i].var, realize.iter_values[i]);
  if (!is_int(realize.predicate, 1))
    verifier.guard(realize.predicate);
  for (const bool is_write : {false, true})
    for (const BufferRegion& region : is_write ? block.writes : block.reads) {
      bool allocated_here = false;
      for (const Buffer& buffer : block.alloc_buffers)
        allocated_here |= buffer == region.buffer;
      if (allocated_here)
        continue;
      std::vector<Range> touched;
      for (const Range& range : region.region)
        touched.push_back({substitute(range.min, axes), substitute(range.extent, axes)});
      if (!verifier.access(region.buffer, touched, is_write, stmt))
        return false;
    }
  return true;
}

bool verify_bare_block(Verifier& verifier, const Stmt& stmt) {
  return verifier.fail(stmt, "a block stands without the realize that binds its axes");
}

bool verify_function(Verifier& verifier, const PrimFunc& function) {
  if (function->s_tir && !function->body.is<SBlockRealize>())
    return verifier.fail(function->body, "the body of an s-tir function is its root block");
  return true;
}

} // namespace

void register_verifier_of_blocks() {
  verifier::register_verifier(SBlockRealize::kKind, verify_realize);
  verifier::register_verifier(SBlock::kKind, verify_bare_block);
  verifier::register_function_verifier(verify_function);
}

} // namespace temper::s_tir
