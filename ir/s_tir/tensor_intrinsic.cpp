// Matching: both sides are flattened to one store in terms of their loops, axes replaced by their
// bindings. The loops are paired in order, those of one iteration left out; the stores must be the
// same expression, where each buffer of the description stands for one of the block, at one place
// that does not move with the loops.
#include "ir/s_tir/tensor_intrinsic.h"

#include "ir/arith/simplify.h"
#include "ir/pass/index_math.h"
#include "ir/s_tir/detail/builtin_intrinsics.h"
#include "ir/s_tir/primitives/common.h"
#include "ir/structural.h"
#include "ir/support/hash.h"
#include "ir/tir/warp_fragments.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

namespace temper::s_tir {
namespace {

struct Table {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<const TensorIntrinsic>, std::less<>> entries;
  std::set<std::string> builtin; ///< names
  /// Built-in ones that are made when they are first asked for.
  std::map<std::string, std::unique_ptr<const TensorIntrinsic>, std::less<>> unlisted;
};

/// A nest flattened to its store.
struct Flat {
  std::vector<const For*> loops; ///< of more than one iteration
  Ref<BufferStore> store;        ///< indices and value in terms of the loops and outer axes
};

Result<Flat> flatten(Stmt stmt) {
  const auto refuse = [](std::string why) { return Error(ErrorCode::kIllegal, std::move(why)); };
  Flat flat;
  VarMap values;
  for (;;) {
    if (const auto* loop = stmt.as<For>()) {
      const auto extent = as_int(loop->extent);
      if (!is_int(loop->min, 0) || !extent)
        return refuse(
            fmt::format("loop {} does not run from 0 to a constant", loop->loop_var->name));
      if (loop->kind == ForKind::kParallel || loop->kind == ForKind::kThreadBinding)
        return refuse(fmt::format("loop {} runs on threads", loop->loop_var->name));
      if (*extent == 1)
        values[loop->loop_var] = make_int(loop->loop_var->dtype, 0);
      else
        flat.loops.push_back(loop);
      stmt = loop->body;
    } else if (const auto* realize = stmt.as<SBlockRealize>()) {
      const SBlock& block = *realize->block;
      if (!is_int(realize->predicate, 1))
        return refuse(fmt::format("block \"{}\" has a predicate", block.name));
      if (block.init)
        return refuse(fmt::format("block \"{}\" initialises its output; decompose_reduction, or "
                                  "blockize, takes the init out",
                                  block.name));
      if (!block.alloc_buffers.empty() || !block.match_buffers.empty())
        return refuse(fmt::format("block \"{}\" has buffers of its own", block.name));
      for (size_t i = 0; i < block.iter_vars.size(); ++i)
        values[block.iter_vars[i].var] = substitute(realize->iter_values[i], values);
      stmt = block.body;
    } else {
      break;
    }
  }
  flat.store = stmt.as_ref<BufferStore>();
  if (!flat.store || flat.store->predicate)
    return refuse("its body is not one store");
  flat.store = cast_ref<BufferStore>(substitute(Stmt(flat.store), values));
  return flat;
}

/// An integer that every type has, or one converted.
std::optional<int64_t> small_constant(const Expr& expr) {
  if (const auto* cast = expr.as<Cast>())
    return small_constant(cast->value);
  const auto* real = expr.as<FloatImm>();
  const double value =
      real != nullptr ? real->value : static_cast<double>(as_int(expr).value_or(INT64_MAX));
  constexpr double kMost = 127;
  if (std::abs(value) > kMost || value != std::floor(value))
    return std::nullopt;
  return static_cast<int64_t>(value);
}

class Matcher {
public:
  Matcher(const TensorIntrinsic& entry, const SBlock& block) : entry_(entry), block_(block) {}

  Result<TensorMatch> run() {
    TEMPER_TRY(wanted, flatten_description());
    TEMPER_TRY(found, flatten(block_.body));
    for (const IterVar& axis : block_.iter_vars)
      math_.bind(axis.var, axis.domain);
    std::vector<int64_t> have;
    std::vector<int64_t> want;
    for (const For* loop : found.loops) {
      have.push_back(*as_int(loop->extent));
      math_.bind(loop->loop_var, Range{loop->min, loop->extent});
      inner_.push_back(loop->loop_var.get());
    }
    for (const For* loop : wanted.loops)
      want.push_back(*as_int(loop->extent));
    if (have != want)
      return refuse(fmt::format("its loops have the extents ({}), not ({})", fmt::join(have, ", "),
                                fmt::join(want, ", ")));
    for (size_t i = 0; i < wanted.loops.size(); ++i) {
      const Var& mine = found.loops[i]->loop_var;
      const Var& theirs = wanted.loops[i]->loop_var;
      if (mine->dtype != theirs->dtype)
        return refuse(fmt::format("loop {} is not {}", mine->name, to_string(theirs->dtype)));
      loops_[theirs] = mine;
    }
    places_.resize(entry_.description->params.size());
    if (!access(wanted.store->buffer, wanted.store->indices, found.store->buffer,
                found.store->indices) ||
        !same(wanted.store->value, found.store->value))
      return refuse(why_.empty() ? "it computes something else" : why_);
    if (block_.init)
      return refuse("it starts its sums, too: decompose_reduction makes a block of that");
    TensorMatch match;
    for (size_t i = 0; i < places_.size(); ++i) {
      if (!places_[i].buffer)
        return refuse(fmt::format("nothing in it stands for {}", name_of(i)));
      TensorMatch::Operand& operand = match.operands.emplace_back();
      operand.buffer = places_[i].buffer;
      for (const LinearForm& form : places_[i].start)
        operand.start.push_back(to_expr(form));
      for (size_t other = 0; other < i; ++other)
        if (places_[other].buffer == places_[i].buffer)
          return refuse(fmt::format("{} stands for both {} and {}", operand.buffer->name,
                                    name_of(other), name_of(i)));
    }
    return match;
  }

private:
  struct Place {
    Buffer buffer;
    std::vector<LinearForm> start;
  };

  Error refuse(const std::string& why) const {
    return Error(ErrorCode::kIllegal, fmt::format("block \"{}\" does not compute what {} does: {}",
                                                  block_.name, entry_.name, why));
  }
  std::string name_of(size_t param) const { return entry_.description->params[param].name(); }

  Result<Flat> flatten_description() const {
    return flatten(static_cast<const SBlockRealize&>(*entry_.description->body).block->body);
  }

  /// Keeps the first reason: the operands as they are written are tried first.
  bool note(std::string why) {
    if (why_.empty())
      why_ = std::move(why);
    return false;
  }

  /// An access of the description against one of the block.
  bool access(const Buffer& wanted, const std::vector<Expr>& wanted_at, const Buffer& found,
              const std::vector<Expr>& found_at) {
    size_t param = 0;
    while (param < places_.size() && entry_.description->params[param].buffer != wanted)
      ++param;
    if (param == places_.size())
      return false;
    if (wanted->dtype != found->dtype) {
      return note(fmt::format("{} is {}, not {}", found->name, to_string(found->dtype),
                              to_string(wanted->dtype)));
    }
    // What a warp holds is one operand of its instruction; shared memory is one.
    const bool shared = wanted->scope.starts_with("shared") && found->scope.starts_with("shared");
    if (wanted->scope != "global" && wanted->scope != found->scope && !shared)
      return note(
          fmt::format("{} is in \"{}\", not in \"{}\"", found->name, found->scope, wanted->scope));
    if (!found->strides.empty() || found->layout || wanted_at.size() > found_at.size()) {
      return note(fmt::format("{} is not laid out as {} is", found->name, name_of(param)));
    }
    const size_t skip = found_at.size() - wanted_at.size();
    std::vector<LinearForm> start;
    for (size_t d = 0; d < found_at.size(); ++d) {
      if (!is_index_type(found_at[d]->dtype))
        return false;
      LinearForm form = math_.linear(found_at[d]);
      if (d >= skip)
        form.add(math_.linear(substitute(wanted_at[d - skip], loops_)), -1);
      const bool moves = std::any_of(inner_.begin(), inner_.end(),
                                     [&](const VarNode* loop) { return depends_on(form, loop); });
      if (form.overflow || moves)
        return note(fmt::format("its index {} of {} does not go as that of {}", d, found->name,
                                name_of(param)));
      start.push_back(std::move(form));
    }
    Place& place = places_[param];
    if (!place.buffer) {
      place = {found, std::move(start)};
      return true;
    }
    if (place.buffer != found)
      return false;
    for (size_t d = 0; d < start.size(); ++d)
      if (!same_terms(place.start[d], start[d]) || place.start[d].constant != start[d].constant)
        return false;
    return true;
  }

  /// Tries an alternative: what a failed one noted is undone.
  template <typename F> bool attempt(const F& alternative) {
    std::vector<Place> before = places_;
    if (alternative())
      return true;
    places_ = std::move(before);
    return false;
  }

  bool same(const Expr& wanted, const Expr& found) {
    // A constant may be written as one of another type.
    if (const auto constant = small_constant(wanted);
        constant && wanted->dtype == found->dtype && small_constant(found) == constant)
      return true;
    if (wanted->kind() != found->kind())
      return false;
    if (const auto* load = wanted.as<BufferLoad>()) {
      const auto* mine = found.as<BufferLoad>();
      return !load->predicate && !mine->predicate &&
             access(load->buffer, load->indices, mine->buffer, mine->indices);
    }
    if (wanted->dtype != found->dtype)
      return false;
    if (const auto* cast = wanted.as<Cast>())
      return same(cast->value, found.as<Cast>()->value);
    // Sums and products of numbers may be written in either order.
    const auto either = [&](const auto& a, const auto& b) {
      return attempt([&] { return same(a.a, b.a) && same(a.b, b.b); }) ||
             attempt([&] { return same(a.a, b.b) && same(a.b, b.a); });
    };
    if (const auto* sum = wanted.as<Add>())
      return either(*sum, *found.as<Add>());
    if (const auto* product = wanted.as<Mul>())
      return either(*product, *found.as<Mul>());
    if (const auto* difference = wanted.as<Sub>())
      return same(difference->a, found.as<Sub>()->a) && same(difference->b, found.as<Sub>()->b);
    if (const auto* call = wanted.as<Call>()) {
      const auto* mine = found.as<Call>();
      if (call->op != mine->op || call->args.size() != mine->args.size())
        return false;
      for (size_t i = 0; i < call->args.size(); ++i)
        if (!same(call->args[i], mine->args[i]))
          return false;
      return true;
    }
    return same_expr(substitute(wanted, loops_), found);
  }

  const TensorIntrinsic& entry_;
  const SBlock& block_;
  Analyzer math_;
  VarMap loops_; ///< of the description -> of the block
  std::vector<const VarNode*> inner_;
  std::vector<Place> places_; ///< by parameter
  std::string why_;
};

/// An index of the implementation, moved.
Expr moved_by(const Expr& start, const Expr& index) {
  const auto typed = [&](const Expr& expr) {
    return expr->dtype == start->dtype ? expr : make_cast(start->dtype, expr);
  };
  if (const auto* ramp = index.as<Ramp>())
    return make_ramp(simplify(start + typed(ramp->base)), typed(ramp->stride), ramp->lanes());
  TEMPER_CHECK(index->dtype.is_scalar(), "an implementation indexes by scalars and ramps");
  return simplify(start + typed(index));
}

Stmt implementation_body(const PrimFunc& function) {
  Stmt body = function->body;
  while (const auto* realize = body.as<SBlockRealize>())
    body = realize->block->body;
  return body;
}

Result<void> check_entry(const TensorIntrinsic& entry) {
  const auto wrong = [&](const std::string& why) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("tensor intrinsic '{}': {}", entry.name, why));
  };
  if (entry.name.empty())
    return wrong("it has no name");
  if (!entry.description || !entry.implementation)
    return wrong("it needs a description and an implementation");
  if (!entry.description->s_tir || !entry.description->body.is<SBlockRealize>())
    return wrong("a description is an s-tir function: write @T.prim_func(s_tir=True)");
  const auto& described = entry.description->params;
  const auto& implemented = entry.implementation->params;
  if (described.size() != implemented.size())
    return wrong(fmt::format("the description has {} parameters, the implementation {}",
                             described.size(), implemented.size()));
  for (size_t i = 0; i < described.size(); ++i) {
    const Buffer& a = described[i].buffer;
    const Buffer& b = implemented[i].buffer;
    if (!a || !b || a->dtype != b->dtype || a->rank() != b->rank())
      return wrong(fmt::format("parameter {} is not the same buffer in both", i));
    for (int d = 0; d < a->rank(); ++d)
      if (!as_int(a->shape[static_cast<size_t>(d)]) ||
          as_int(a->shape[static_cast<size_t>(d)]) != as_int(b->shape[static_cast<size_t>(d)]))
        return wrong(fmt::format("parameter {} needs one constant shape", a->name));
  }
  const SBlock& root = *static_cast<const SBlockRealize&>(*entry.description->body).block;
  if (auto flat = flatten(root.body); !flat)
    return wrong("the description must be loops around one store: " + flat.error().message);
  std::string why;
  walk(implementation_body(entry.implementation), [&](const NodeRef& node) {
    if (node->kind() == For::kKind || node->kind() == While::kKind ||
        node->kind() == SBlockRealize::kKind || node->kind() == AllocBuffer::kKind)
      why = "the implementation is statements without loops, blocks and buffers of its own";
    if (const auto* call = node.as<Call>();
        call != nullptr && tir::is_warp_operation(*call) && !tir::names_tiles(*call))
      why = fmt::format("T.{} names tiles by their first and last elements, of two dimensions at "
                        "least",
                        call->op);
    const auto check_access = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      if (std::none_of(implemented.begin(), implemented.end(),
                       [&](const Param& param) { return param.buffer == buffer; }))
        why = "the implementation accesses " + buffer->name + ", which is none of its parameters";
      for (const Expr& index : indices)
        if (!index->dtype.is_scalar() && !index.is<Ramp>())
          why = "the implementation indexes by scalars and ramps only";
    };
    if (const auto* load = node.as<BufferLoad>())
      check_access(load->buffer, load->indices);
    if (const auto* store = node.as<BufferStore>())
      check_access(store->buffer, store->indices);
    return why.empty();
  });
  if (!why.empty())
    return wrong(why);
  return {};
}

Result<void> add(Table& table, TensorIntrinsic entry) {
  TEMPER_TRY_VOID(check_entry(entry));
  const auto found = table.entries.find(entry.name);
  if (found != table.entries.end()) {
    const TensorIntrinsic& known = *found->second;
    if (structural_equal(known.description, entry.description) &&
        structural_equal(known.implementation, entry.implementation) &&
        known.features == entry.features)
      return {}; // a file read twice
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("there is another tensor intrinsic '{}' already; give this one a name "
                             "of its own",
                             entry.name));
  }
  std::string name = entry.name;
  table.entries.emplace(std::move(name), std::make_unique<const TensorIntrinsic>(std::move(entry)));
  return {};
}

Table& table() {
  static Table instance;
  static std::once_flag filled;
  std::call_once(filled, [] {
    for (TensorIntrinsic& entry : builtin_tensor_intrinsics()) {
      instance.builtin.insert(entry.name);
      const auto added = add(instance, std::move(entry));
      TEMPER_CHECK(added, added ? "" : added.error().message.c_str());
    }
  });
  return instance;
}

} // namespace

bool TensorIntrinsic::fits(const std::vector<std::string>& target_features) const {
  return std::all_of(features.begin(), features.end(), [&](const std::string& feature) {
    return std::find(target_features.begin(), target_features.end(), feature) !=
           target_features.end();
  });
}

Result<void> register_tensor_intrinsic(TensorIntrinsic entry) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  return add(all, std::move(entry));
}

const TensorIntrinsic* find_tensor_intrinsic(std::string_view name) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  for (auto* entries : {&all.entries, &all.unlisted})
    if (const auto found = entries->find(name); found != entries->end())
      return found->second.get();
  std::optional<TensorIntrinsic> made = tile_product_named(name);
  if (!made)
    return nullptr;
  std::unique_ptr<const TensorIntrinsic>& entry = all.unlisted[std::string(name)];
  entry = std::make_unique<const TensorIntrinsic>(std::move(*made));
  return entry.get();
}

std::vector<const TensorIntrinsic*> all_tensor_intrinsics() {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  std::vector<const TensorIntrinsic*> list;
  for (const auto& [name, entry] : all.entries)
    list.push_back(entry.get());
  return list;
}

uint64_t added_tensor_intrinsics_hash() {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  uint64_t hash = 0;
  for (const auto& [name, entry] : all.entries) {
    if (all.builtin.contains(name))
      continue;
    hash = hash_combine(hash, hash_bytes(name));
    hash = hash_combine(hash, structural_hash(entry->description));
    hash = hash_combine(hash, structural_hash(entry->implementation));
    for (const std::string& feature : entry->features)
      hash = hash_combine(hash, hash_bytes(feature));
  }
  return hash;
}

Result<TensorMatch> match_tensor_intrinsic(const TensorIntrinsic& entry, const SBlock& block) {
  return Matcher(entry, block).run();
}

Stmt instantiate(const TensorIntrinsic& entry, const TensorMatch& match) {
  const auto operand_of = [&](const Buffer& buffer) -> const TensorMatch::Operand& {
    for (size_t i = 0; i < match.operands.size(); ++i)
      if (entry.implementation->params[i].buffer == buffer)
        return match.operands[i];
    TEMPER_UNREACHABLE("an implementation uses its parameters only");
  };
  const auto moved = [](const TensorMatch::Operand& operand, const std::vector<Expr>& indices) {
    std::vector<Expr> result = operand.start;
    const size_t skip = result.size() - indices.size();
    for (size_t d = 0; d < indices.size(); ++d)
      result[skip + d] = moved_by(result[skip + d], indices[d]);
    return result;
  };
  // Definitions (Let, Bind) must be new ones each time.
  const Stmt body = with_fresh_definitions(implementation_body(entry.implementation));
  return cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
    if (const auto* load = node.as<BufferLoad>()) {
      const TensorMatch::Operand& operand = operand_of(load->buffer);
      return make_load(operand.buffer, moved(operand, load->indices), load->predicate);
    }
    if (const auto* store = node.as<BufferStore>()) {
      const TensorMatch::Operand& operand = operand_of(store->buffer);
      return make_store(operand.buffer, moved(operand, store->indices), store->value,
                        store->predicate);
    }
    return node;
  }));
}

Result<void> check_tensor_intrinsics(const PrimFunc& function,
                                     const std::vector<std::string>& target_features) {
  std::optional<Error> error;
  walk(function, [&](const NodeRef& node) {
    const auto* block = node.as<SBlock>();
    if (error || block == nullptr)
      return !error && !ExprNode::accepts(node->kind());
    const auto name = block->annotations.get_string(kTensorIntrinsic);
    if (!name)
      return true;
    const TensorIntrinsic* entry = find_tensor_intrinsic(*name);
    if (entry == nullptr) {
      error = Error(ErrorCode::kUnsupported,
                    fmt::format("block \"{}\" is tensorized by '{}', which is not in the table of "
                                "tensor intrinsics; TEMPER_INTRINSICS names files with more",
                                block->name, *name));
      return false;
    }
    if (!entry->fits(target_features)) {
      error = Error(ErrorCode::kUnsupported,
                    fmt::format("block \"{}\" is tensorized by {}, which needs {}: the target does "
                                "not have it",
                                block->name, *name, fmt::join(entry->features, ", ")));
      return false;
    }
    if (auto match = match_tensor_intrinsic(*entry, *block); !match)
      error = std::move(match).error();
    return false; // nothing to be found inside
  });
  if (error)
    return std::move(*error);
  return {};
}

} // namespace temper::s_tir
