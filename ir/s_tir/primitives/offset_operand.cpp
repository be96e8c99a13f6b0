// offset_operand(block, read_buffer_index, offset, dtype): one operand of a product of integers is
// read as its value plus a constant, in another type, and the result is corrected:
//
//   sum over k of A[i, k] * B[k, j]
//     = sum over k of (A[i, k] + 128) * B[k, j]  -  128 * (sum over k of B[k, j])
//
// exactly, in integers that wrap. So bytes with a sign become bytes without one, which is what
// x86's dot products of bytes take. Three blocks are made: the operand with the offset, the sums of
// the other operand, and the correction of the result.

#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/read_ahead.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace temper::s_tir {
namespace {

struct Integers {
  int64_t low;
  int64_t high;
};
Integers values_of(DataType dtype) {
  if (dtype.is_uint())
    return {0, (int64_t{1} << dtype.bits) - 1};
  return {-(int64_t{1} << (dtype.bits - 1)), (int64_t{1} << (dtype.bits - 1)) - 1};
}

const BufferLoad* operand_of(const Expr& factor) {
  const auto* cast = factor.as<Cast>();
  return cast == nullptr ? nullptr : cast->value.as<BufferLoad>();
}

/// C[..] = C[..] + cast(A[..]) * cast(B[..]), of which `buffer` is A or B.
struct Factors {
  const BufferStore* store;
  const BufferLoad* operand; ///< of the buffer
  const BufferLoad* other;
  bool operand_first;
};

std::optional<Factors> factors_of(const SBlock& block, const Buffer& buffer) {
  const auto* store = block.body.as<BufferStore>();
  const auto* sum = store == nullptr || store->predicate ? nullptr : store->value.as<Add>();
  if (sum == nullptr)
    return std::nullopt;
  for (const bool turned : {false, true}) {
    const auto* own = (turned ? sum->b : sum->a).as<BufferLoad>();
    const auto* product = (turned ? sum->a : sum->b).as<Mul>();
    if (own == nullptr || product == nullptr || own->buffer != store->buffer ||
        !std::equal(own->indices.begin(), own->indices.end(), store->indices.begin(),
                    store->indices.end(), same_expr))
      continue;
    const BufferLoad* a = operand_of(product->a);
    const BufferLoad* b = operand_of(product->b);
    if (a == nullptr || b == nullptr || a->predicate || b->predicate || a->buffer == b->buffer)
      continue;
    if (a->buffer == buffer)
      return Factors{store, a, b, true};
    if (b->buffer == buffer)
      return Factors{store, b, a, false};
  }
  return std::nullopt;
}

/// The block's axis that indexes each dimension of its output; fewer where some dimension is not
/// covered by a spatial axis of its own.
std::vector<const IterVar*> result_axes(const SBlock& block, const BufferStore& store) {
  std::vector<const IterVar*> axes;
  for (size_t d = 0; d < store.indices.size(); ++d)
    for (const IterVar& axis : block.iter_vars)
      if (axis.var.get() == store.indices[d].get() && axis.type == IterType::kSpatial &&
          is_int(axis.domain.min, 0) && same_expr(axis.domain.extent, store.buffer->shape[d]) &&
          std::find(axes.begin(), axes.end(), &axis) == axes.end())
        axes.push_back(&axis);
  return axes;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const int64_t index = *arguments.attrs[0].as_int();
  const int64_t offset = *arguments.attrs[1].as_int();
  const std::optional<DataType> wanted = parse_data_type(*arguments.attrs[2].as_string());
  if (!wanted || !wanted->is_integral() || !wanted->is_scalar() || wanted->bits > 32)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is no type of integers of at most 32 bits",
                             *arguments.attrs[2].as_string()));
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const Block& scope_block = scoped.scope_block();
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  if (const char* why = why_not_reduction(scoped.scope, scoped.child))
    return refuse(fmt::format("{} is not a reduction block: it {}", describe(block), why));
  if (index < 0 || index >= static_cast<int64_t>(block->reads.size()))
    return refuse(fmt::format("{} reads {} buffers: there is none with index {}", describe(block),
                              block->reads.size(), index));
  const Buffer buffer = block->reads[static_cast<size_t>(index)].buffer;

  const std::optional<Factors> factors =
      block->match_buffers.empty() ? factors_of(*block, buffer) : std::nullopt;
  if (!factors)
    return refuse(fmt::format("{} does not sum up products of {} and another operand, both "
                              "converted to the type of the sums",
                              describe(block), buffer->name));
  const auto& [store, operand, other, operand_first] = *factors;
  const Buffer result = store->buffer;
  const DataType sums_type = result->dtype;
  if (!sums_type.is_integral() || !buffer->dtype.is_integral() || buffer->dtype.bits > 16 ||
      !other->buffer->dtype.is_integral() || sums_type.bits < 32)
    return refuse("only sums of integers stay what they are: in floating point the correction "
                  "would round");
  const Integers have = values_of(buffer->dtype);
  const Integers room = values_of(*wanted);
  if (have.low + offset < room.low || have.high + offset > room.high)
    return refuse(fmt::format("{} + {} does not fit {}: its values are {} to {}", buffer->name,
                              offset, to_string(*wanted), have.low + offset, have.high + offset));
  TEMPER_TRY_VOID(require_inputs_of_root(context, scoped, std::array{buffer, other->buffer}));
  // The nest of the block holds nothing else, and all of the result is written.
  const std::span<const Stmt> chain = scoped.place.chain;
  const size_t first = scoped.scope_at + 1;
  size_t top = first; // the outermost statement of the block's own nest
  if (chain[first].is<SeqStmt>())
    ++top;
  for (size_t i = top; i + 1 < chain.size(); ++i)
    if (!chain[i].is<For>())
      return refuse(fmt::format("other blocks stand in the loops around {}", describe(block)));
  if (has_predicate(scoped.realize()) &&
      !predicate_follows_from_domains(scoped.realize(), scoped.info().loops))
    return refuse(fmt::format("{} has a predicate", describe(block)));
  const std::vector<const IterVar*> of_dimension = result_axes(*block, *store);
  if (of_dimension.size() != result->shape.size())
    return refuse(fmt::format("{} does not write all of {}, one axis to a dimension",
                              describe(block), result->name));
  for (const IterVar& axis : block->iter_vars) {
    if (!is_int(axis.domain.min, 0) || !as_int(axis.domain.extent))
      return refuse(fmt::format("axis {} does not run from 0 to a constant", axis.var->name));
    if (axis.type == IterType::kSpatial &&
        std::find(of_dimension.begin(), of_dimension.end(), &axis) == of_dimension.end())
      return refuse(fmt::format("axis {} is spatial but indexes no dimension of {}", axis.var->name,
                                result->name));
  }

  // The operand with the offset.
  NewBlock shift;
  std::vector<Expr> point;
  for (size_t d = 0; d < buffer->shape.size(); ++d)
    point.push_back(shift.axis(fmt::format("v{}", d), buffer->shape[d], IterType::kSpatial));
  const Buffer shifted = make_buffer(buffer->name + "_offset", *wanted, buffer->shape);
  const Stmt shift_nest = shift.nest(
      shifted->name, nullptr,
      make_store(shifted, point,
                 make_cast(*wanted, make_binary<Add>(make_cast(sums_type, make_load(buffer, point)),
                                                     make_const_int(sums_type, offset)))));

  // The sums of the other one, for each spatial axis that it goes with.
  NewBlock total;
  VarMap total_axes; // of the product's axes
  const auto keep = [&](const IterVar& axis) {
    total_axes[axis.var] = total.axis(axis.var->name, axis.domain.extent, axis.type);
  };
  std::vector<size_t> kept; // dimensions of the result
  std::vector<Expr> shape;
  for (size_t d = 0; d < of_dimension.size(); ++d)
    if (std::any_of(other->indices.begin(), other->indices.end(),
                    [&](const Expr& expr) { return mentions(expr, of_dimension[d]->var.get()); })) {
      kept.push_back(d);
      shape.push_back(of_dimension[d]->domain.extent);
      keep(*of_dimension[d]);
    }
  for (const IterVar& axis : block->iter_vars)
    if (axis.type != IterType::kSpatial)
      keep(axis);
  if (kept.empty()) // one sum for all
    shape.push_back(make_int(DataType::int32(), 1));
  const Buffer totals = make_buffer(other->buffer->name + "_sums", sums_type, shape);
  std::vector<Expr> total_at;
  for (const size_t d : kept)
    total_at.push_back(total_axes.at(of_dimension[d]->var));
  if (total_at.empty())
    total_at.push_back(make_int(DataType::int32(), 0));
  std::vector<Expr> read_at;
  for (const Expr& expr : other->indices)
    read_at.push_back(substitute(expr, total_axes));
  const Stmt total_nest = total.nest(
      totals->name, make_store(totals, total_at, make_const_int(sums_type, 0)),
      make_store(totals, total_at,
                 make_binary<Add>(make_load(totals, total_at),
                                  make_cast(sums_type, make_load(other->buffer, read_at)))));

  // The product itself, into a buffer of its own, and the correction.
  const Buffer raw = make_buffer(result->name + "_offset", sums_type, result->shape);
  NewBlock correct;
  std::vector<Expr> out;
  for (size_t d = 0; d < result->shape.size(); ++d)
    out.push_back(correct.axis(of_dimension[d]->var->name, result->shape[d], IterType::kSpatial));
  std::vector<Expr> sums_at;
  for (const size_t d : kept)
    sums_at.push_back(out[d]);
  if (sums_at.empty())
    sums_at.push_back(make_int(DataType::int32(), 0));
  const Stmt correct_nest = correct.nest(
      result->name + "_corrected", nullptr,
      make_store(result, out,
                 make_binary<Sub>(make_load(raw, out),
                                  make_binary<Mul>(make_load(totals, sums_at),
                                                   make_const_int(sums_type, offset)))));

  const Expr left = make_cast(sums_type, make_load(shifted, operand->indices));
  const Expr right = make_cast(sums_type, make_load(other->buffer, other->indices));
  const Block product = copy_node(*block, [&](SBlock& node) {
    node.init = cast_ref<StmtNode>(replace_buffers(block->init, BufferMap{{result, raw}}));
    node.body = make_store(raw, store->indices,
                           make_binary<Add>(make_load(raw, store->indices),
                                            operand_first ? make_binary<Mul>(left, right)
                                                          : make_binary<Mul>(right, left)));
    for (BufferRegion& read : node.reads)
      if (read.buffer == buffer)
        read.buffer = shifted;
    for (BufferRegion& write : node.writes)
      if (write.buffer == result)
        write.buffer = raw;
  });
  const Stmt product_nest = replace_statement(
      chain.subspan(top),
      copy_node(scoped.realize(), [&](SBlockRealize& node) { node.block = product; }));

  std::vector<Stmt> statements{shift_nest, total_nest};
  const auto add_product = [&] {
    statements.push_back(product_nest);
    statements.push_back(correct_nest);
  };
  if (const auto* seq = scope_block->body.as<SeqStmt>()) {
    for (const Stmt& stmt : seq->statements)
      if (stmt == chain[top])
        add_product();
      else
        statements.push_back(stmt);
  } else {
    add_product();
  }
  Applied applied;
  applied.module =
      replace_scope(context, scoped, copy_node(*scope_block, [&](SBlock& node) {
                      node.body = make_seq(std::move(statements));
                      node.alloc_buffers.insert(node.alloc_buffers.end(), {shifted, totals, raw});
                    }));
  applied.outputs = {BlockHandle{shift.block->id}, BlockHandle{total.block->id},
                     BlockHandle{correct.block->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place)
    return uses;
  for (size_t i = 0; i < place->block()->reads.size(); ++i)
    if (place->block()->reads[i].buffer->dtype == DataType::integer(8)) {
      Arguments use{.inputs = {handle}, .attrs = {static_cast<int64_t>(i), 128, "uint8"}};
      if (apply({context.module, nullptr, false}, use))
        uses.push_back(std::move(use));
    }
  return uses;
}

} // namespace

void register_offset_operand() {
  register_primitive({
      .name = "OffsetOperand",
      .python_name = "offset_operand",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "offset", .kind = ValueKind::kInt},
                {.name = "dtype", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock, ValueKind::kBlock, ValueKind::kBlock},
      .summary =
          R"(In a sum of products of integers, an operand is read as its value plus a constant, in another
type that holds it, and the excess is subtracted from the result: exact, since integers wrap. The block
must be alone in its loops, and write all of its output. Returns the blocks that make the operand, the
sums of the other operand, and the corrected result. TVM has no such primitive.

    # offset_operand(C, 0, 128, "uint8")          A_offset[i, k] = T.uint8(A[i, k] + 128)
    for i, j, k in ..:                            B_sums[j] += B[k, j]
        C[i, j] += A[i, k] * B[k, j]        →     C_offset[i, j] += A_offset[i, k] * B[k, j]
                                                  C[i, j] = C_offset[i, j] - B_sums[j] * 128)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
