// convert_operand(block, read_buffer_index, dtype): a buffer that a block reads and converts is
// converted once, ahead: a new block makes a copy in the other type, which the block reads. Where a
// product reads each element of an operand many times, that takes the conversion out of its inner
// loop; inlined into a packing copy it costs no pass of its own.

#include "ir/s_tir/detail/read_ahead.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const int64_t index = *arguments.attrs[0].as_int();
  const std::optional<DataType> wanted = parse_data_type(*arguments.attrs[1].as_string());
  if (!wanted || !wanted->is_scalar() || wanted->is_handle())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is no type of numbers", *arguments.attrs[1].as_string()));
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const Block& scope_block = scoped.scope_block();
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  if (index < 0 || index >= static_cast<int64_t>(block->reads.size()))
    return refuse(fmt::format("{} reads {} buffers: there is none with index {}", describe(block),
                              block->reads.size(), index));
  const Buffer buffer = block->reads[static_cast<size_t>(index)].buffer;
  if (buffer->dtype == *wanted)
    return refuse(fmt::format("{} is {} already", buffer->name, to_string(*wanted)));
  TEMPER_TRY_VOID(require_inputs_of_root(context, scoped, std::span(&buffer, 1)));
  if (!block->match_buffers.empty() || !block->body.is<BufferStore>())
    return refuse(fmt::format("the body of {} is not one store", describe(block)));

  const Buffer converted =
      make_buffer(buffer->name + "_" + to_string(*wanted), *wanted, buffer->shape);
  // Children come first: a converted load has become a load of the copy when its cast gets here.
  size_t loads = 0;
  size_t casts = 0;
  const auto rewrite = [&](const NodeRef& node) -> NodeRef {
    if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == buffer) {
      ++loads;
      return node;
    }
    const auto* cast = node.as<Cast>();
    const auto* load = cast == nullptr ? nullptr : cast->value.as<BufferLoad>();
    if (load == nullptr || load->buffer != buffer || cast->dtype != *wanted)
      return node;
    ++casts;
    return make_load(converted, load->indices, load->predicate);
  };
  const auto reads_it = [&](const Stmt& stmt) {
    bool found = false;
    if (stmt)
      walk(stmt, [&](const NodeRef& node) {
        const auto* load = node.as<BufferLoad>();
        found |= load != nullptr && load->buffer == buffer;
        return !found;
      });
    return found;
  };
  const Stmt body = cast_ref<StmtNode>(rewrite_post(block->body, rewrite));
  if (casts == 0 || casts != loads || reads_it(block->init))
    return refuse(fmt::format("{} does not convert {} to {} wherever it reads it", describe(block),
                              buffer->name, to_string(*wanted)));
  const Block product = copy_node(*block, [&](SBlock& node) {
    node.body = body;
    for (BufferRegion& read : node.reads)
      if (read.buffer == buffer)
        read.buffer = converted;
  });

  NewBlock copy;
  std::vector<Expr> point;
  for (const Expr& extent : buffer->shape)
    point.push_back(copy.axis(fmt::format("v{}", point.size()), extent, IterType::kSpatial));
  const Stmt nest =
      copy.nest(converted->name, nullptr,
                make_store(converted, point, make_cast(*wanted, make_load(buffer, point))));

  const std::span<const Stmt> chain = scoped.place.chain;
  const Stmt rest = replace_statement(
      chain.subspan(scoped.scope_at + 1),
      copy_node(scoped.realize(), [&](SBlockRealize& node) { node.block = product; }));
  Applied applied;
  applied.module = replace_scope(context, scoped, copy_node(*scope_block, [&](SBlock& node) {
                                   node.body = make_seq({nest, rest});
                                   node.alloc_buffers.push_back(converted);
                                 }));
  applied.outputs = {BlockHandle{copy.block->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place)
    return uses;
  for (size_t i = 0; i < place->block()->reads.size(); ++i)
    for (const char* dtype : {"float32", "int32"}) {
      Arguments use{.inputs = {handle}, .attrs = {static_cast<int64_t>(i), dtype}};
      if (apply({context.module, nullptr, false}, use))
        uses.push_back(std::move(use));
    }
  return uses;
}

} // namespace

void register_convert_operand() {
  register_primitive({
      .name = "ConvertOperand",
      .python_name = "convert_operand",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "dtype", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(An input that a block converts wherever it reads it is converted once, ahead: the new block
makes a copy in the other type. Returns that block; compute_inline puts the conversion into a copy that
packs it. TVM has no such primitive.

    # convert_operand(C, 0, "float32")            for i, k in ..:
    for i, j, k in ..:                       →        A_float32[vi, vk] = T.float32(A[vi, vk])
        C[vi, vj] += T.float32(A[vi, vk]) * ..    for i, j, k in ..:
                                                      C[vi, vj] += A_float32[vi, vk] * ..)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
