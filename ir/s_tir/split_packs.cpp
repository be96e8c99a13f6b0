// Copies of constant operands become functions of their own.
//
// A marked block stands, with its loops, as a statement of the root block by itself, reads one
// constant parameter that nothing else reads, and writes one buffer that only it writes. Statement
// and buffer then move to a new function; in the kernel the buffer takes the parameter's place.
#include "ir/s_tir/analysis.h"
#include "ir/s_tir/packs.h"
#include "ir/s_tir/primitives/common.h"
#include "ir/support/text.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

struct Pack {
  size_t parameter = 0;
  Block block;
  Stmt nest;
  Buffer packed;
};

Error illegal(std::string sentence) { return {ErrorCode::kIllegal, std::move(sentence)}; }

bool is_marked(const SBlock& block) {
  return block.annotations.get_int(kPackedAhead).value_or(0) != 0;
}

size_t count_marks(const NodeRef& node) {
  size_t marks = 0;
  walk(node, [&](const NodeRef& child) {
    if (child->kind() == SBlock::kKind)
      marks += is_marked(static_cast<const SBlock&>(*child)) ? 1 : 0;
    return !ExprNode::accepts(child->kind());
  });
  return marks;
}

bool mentions(const NodeRef& node, const Buffer& buffer) {
  bool found = false;
  walk(node, [&](const NodeRef& child) {
    found |= child.get() == buffer.get();
    return !found;
  });
  return found;
}

/// Buffers that accesses below a statement name.
std::vector<Buffer> buffers_of(const Stmt& stmt) {
  std::vector<Buffer> buffers;
  walk(stmt, [&](const NodeRef& child) {
    if (child->kind() == static_cast<Kind>(BufferKind::kBuffer)) {
      const Buffer buffer = child.as_ref<BufferNode>();
      if (std::find(buffers.begin(), buffers.end(), buffer) == buffers.end())
        buffers.push_back(buffer);
    }
    return true;
  });
  return buffers;
}

std::vector<Stmt> statements_of(const Stmt& body) {
  if (const auto* seq = body.as<SeqStmt>())
    return seq->statements;
  return {body};
}

/// What a marked block packs, and that it may.
Result<Pack> find_pack(const PrimFunc& function, const SBlock& root,
                       const std::vector<Stmt>& statements, const Stmt& nest) {
  std::vector<BlockRealize> children;
  for_each_child_block(nest, [&](const BlockRealize& child) { children.push_back(child); });
  const auto marked = std::find_if(children.begin(), children.end(), [](const BlockRealize& child) {
    return is_marked(*child->block);
  });
  if (marked == children.end())
    return illegal("a copy that is marked as packed ahead stands inside another block; such a copy "
                   "stands in the root block");
  Pack pack;
  pack.block = (*marked)->block;
  pack.nest = nest;
  const std::string who = describe(pack.block);
  if (children.size() != 1) {
    const auto other = children[0] == *marked ? children[1] : children[0];
    return illegal(fmt::format("{} shares loops with {}; what is packed ahead stands in loops of "
                               "its own",
                               who, describe(other->block)));
  }
  const SBlock& block = *pack.block;
  if (block.writes.size() != 1)
    return illegal(fmt::format("{} writes {} buffers; what is packed ahead writes one", who,
                               block.writes.size()));
  pack.packed = block.writes[0].buffer;
  if (std::find(root.alloc_buffers.begin(), root.alloc_buffers.end(), pack.packed) ==
          root.alloc_buffers.end() ||
      pack.packed->scope != "global")
    return illegal(fmt::format("{} writes {}, which is no buffer of scope \"global\" that the root "
                               "block allocates",
                               who, pack.packed->name));
  const std::vector<size_t> constants = constant_operands(function);
  std::optional<size_t> parameter;
  for (const Buffer& buffer : buffers_of(nest)) {
    if (buffer == pack.packed)
      continue;
    const auto constant = std::find_if(constants.begin(), constants.end(), [&](size_t index) {
      return function->params[index].buffer == buffer;
    });
    if (constant == constants.end() || parameter)
      return illegal(fmt::format("{} uses {}, so it cannot be made ahead: that needs one constant "
                                 "operand{}",
                                 who, buffer->name,
                                 constants.empty() ? ", and the function names none" : ""));
    parameter = *constant;
  }
  if (!parameter)
    return illegal(who + " reads no constant operand, so there is nothing to pack");
  pack.parameter = *parameter;
  const Buffer& plain = function->params[*parameter].buffer;
  const bool reads_itself =
      std::any_of(block.reads.begin(), block.reads.end(),
                  [&](const BufferRegion& region) { return region.buffer == pack.packed; });
  if (block.init || reads_itself)
    return illegal(who + " reads what it writes; what is packed ahead is a copy");
  for (const Stmt& other : statements) {
    if (other == nest)
      continue;
    std::string reader;
    for_each_child_block(other, [&](const BlockRealize& child) {
      if (reader.empty() && mentions(child->block, plain))
        reader = describe(child->block);
    });
    if (!reader.empty())
      return illegal(fmt::format("{} uses {} as well as {}, which packs it ahead; all that use it "
                                 "must use the packed one",
                                 reader, plain->name, who));
    for_each_child_block(other, [&](const BlockRealize& child) {
      for (const BufferRegion& write : child->block->writes)
        if (reader.empty() && write.buffer == pack.packed)
          reader = describe(child->block);
    });
    if (!reader.empty())
      return illegal(
          fmt::format("{} writes {}, which {} packs ahead", reader, pack.packed->name, who));
  }
  return pack;
}

/// for ..: with T.sblock("B_packed_zero"): B_packed[..] = 0
Stmt make_zero(const Buffer& buffer) {
  std::vector<Var> loops;
  std::vector<Expr> values;
  const Block block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = buffer->name + "_zero";
    BufferRegion written{buffer, {}};
    std::vector<Expr> indices;
    for (size_t d = 0; d < buffer->shape.size(); ++d) {
      const DataType dtype = buffer->shape[d]->dtype;
      loops.push_back(make_var(fmt::format("ax{}", d), dtype));
      values.emplace_back(loops.back());
      const Var axis = make_var(fmt::format("v{}", d), dtype);
      node.iter_vars.push_back({{make_int(dtype, 0), buffer->shape[d]}, axis, IterType::kSpatial});
      written.region.push_back({axis, make_int(dtype, 1)});
      indices.emplace_back(axis);
    }
    node.writes.push_back(std::move(written));
    node.body = make_store(buffer, std::move(indices), make_const(buffer->dtype, 0));
  });
  Stmt stmt = make_realize(std::move(values), make_bool(true), block);
  for (size_t d = loops.size(); d-- > 0;)
    stmt = make_for(loops[d], make_int(loops[d]->dtype, 0), buffer->shape[d], ForKind::kSerial,
                    std::move(stmt));
  return stmt;
}

Buffer named_copy(const Buffer& buffer, const std::string& name) {
  return copy_node(*buffer, [&](BufferNode& node) { node.name = name; });
}

PrimFunc make_pack_function(const PrimFunc& kernel, const Block& root, const Pack& pack,
                            const std::string& name) {
  const Buffer& plain = kernel->params[pack.parameter].buffer;
  const Buffer source = named_copy(plain, plain->name);
  const Buffer target = named_copy(pack.packed, plain->name + "_packed");
  const Stmt nest =
      cast_ref<StmtNode>(replace_buffers(pack.nest, {{plain, source}, {pack.packed, target}}));
  // The rest of a last panel must be something: whoever keeps or compares a packed operand may.
  std::vector<Stmt> body;
  if (plain->element_count() != pack.packed->element_count())
    body.push_back(make_zero(target));
  body.push_back(nest);
  const Block block = copy_node(*root, [&](SBlock& node) {
    node.id = new_block_id();
    node.alloc_buffers.clear();
    node.annotations = {};
    node.body = make_seq(std::move(body));
  });
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = name;
    node.params = {{source, nullptr}, {target, nullptr}};
    node.s_tir = true;
    node.attrs =
        kernel->attrs.without(kConstantOperands)
            .without("global_symbol")
            .with(kPackOf, make_int(DataType::int32(), static_cast<int64_t>(pack.parameter)));
    node.body = make_realize({}, make_bool(true), block);
  });
}

PrimFunc with_constants(const PrimFunc& function, const std::vector<size_t>& positions) {
  return copy_node(*function, [&](PrimFuncNode& node) {
    if (positions.empty()) {
      node.attrs = node.attrs.without(kConstantOperands);
      return;
    }
    std::vector<Expr> list;
    for (const size_t position : positions)
      list.push_back(make_int(DataType::int32(), static_cast<int64_t>(position)));
    node.attrs = node.attrs.with(kConstantOperands, make_list(std::move(list)));
  });
}

} // namespace

std::vector<size_t> constant_operands(const PrimFunc& function) {
  std::vector<size_t> positions;
  const Expr value = function->attrs.get(kConstantOperands);
  const auto* list = value ? value.as<ListImm>() : nullptr;
  if (list == nullptr)
    return positions;
  for (const Expr& item : list->values) {
    const auto position = as_int(item);
    if (position && *position >= 0 && *position < static_cast<int64_t>(function->params.size()) &&
        function->params[static_cast<size_t>(*position)].buffer)
      positions.push_back(static_cast<size_t>(*position));
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

Result<PrimFunc> with_constant_operands(const PrimFunc& function,
                                        const std::vector<std::string>& names) {
  const auto invalid = [](std::string sentence) {
    return Error(ErrorCode::kInvalidArgument, std::move(sentence));
  };
  std::vector<std::string> known;
  for (const Param& param : function->params)
    known.push_back(param.name());
  std::vector<size_t> positions;
  for (const std::string& name : names) {
    const auto at = std::find(known.begin(), known.end(), name);
    if (at == known.end())
      return invalid(fmt::format("'{}' cannot be constant: there is no such operand; they are {}",
                                 name, join(known, ", ")));
    const auto position = static_cast<size_t>(at - known.begin());
    const Buffer& buffer = function->params[position].buffer;
    if (!buffer)
      return invalid(fmt::format("'{}' cannot be constant: it is a number, and only arrays have "
                                 "layouts",
                                 name));
    bool written = false;
    walk(function->body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written |= store->buffer == buffer;
      return !written;
    });
    if (written)
      return invalid(fmt::format("'{}' cannot be constant: it is written; constant are inputs that "
                                 "stay the same from call to call, as weights",
                                 name));
    if (std::find(positions.begin(), positions.end(), position) == positions.end())
      positions.push_back(position);
  }
  std::sort(positions.begin(), positions.end());
  return with_constants(function, positions);
}

std::optional<size_t> packed_parameter(const PrimFunc& function) {
  const auto position = function->attrs.get_int(kPackOf);
  if (!position || *position < 0)
    return std::nullopt;
  return static_cast<size_t>(*position);
}

Result<IRModule> split_packs(const IRModule& module) {
  IRModule result = module;
  std::vector<ModuleEntry> added;
  for (const ModuleEntry& entry : module->functions) {
    const auto function = entry.function.as_ref<PrimFuncNode>();
    if (!function || !function->s_tir || packed_parameter(function))
      continue;
    const size_t marks = count_marks(function->body);
    const auto* realize = function->body.as<SBlockRealize>();
    if (marks == 0 || realize == nullptr)
      continue;
    const Block& root = realize->block;
    const std::vector<Stmt> statements = statements_of(root->body);
    std::vector<Stmt> left;
    std::vector<Pack> packs;
    for (const Stmt& statement : statements) {
      if (count_marks(statement) == 0) {
        left.push_back(statement);
        continue;
      }
      TEMPER_TRY(pack, find_pack(function, *root, statements, statement));
      packs.push_back(std::move(pack));
    }
    if (packs.empty())
      return illegal("the root block is marked as packed ahead; a copy inside it may be");
    BufferMap renamed;
    std::vector<size_t> constants = constant_operands(function);
    for (const Pack& pack : packs) {
      const std::string& plain = function->params[pack.parameter].name();
      renamed.emplace(pack.packed, named_copy(pack.packed, plain + "_packed"));
      std::erase(constants, pack.parameter);
      std::string name = entry.name + "_pack_" + plain;
      while (module->find(name))
        name += "_";
      added.push_back({name, make_pack_function(function, root, pack, name)});
    }
    PrimFunc kernel = copy_node(*function, [&](PrimFuncNode& node) {
      for (const Pack& pack : packs)
        node.params[pack.parameter] = {pack.packed, nullptr};
      const Block changed = copy_node(*root, [&](SBlock& block) {
        block.body = make_seq(left);
        for (const Pack& pack : packs)
          std::erase(block.alloc_buffers, pack.packed);
      });
      node.body = make_realize(realize->iter_values, realize->predicate, changed);
    });
    kernel = with_constants(cast_ref<PrimFuncNode>(replace_buffers(kernel, renamed)), constants);
    result = with_function(result, entry.name, kernel);
  }
  for (ModuleEntry& entry : added)
    result = with_function(result, entry.name, std::move(entry.function));
  return result;
}

} // namespace temper::s_tir
