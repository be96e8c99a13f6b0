#include "ir/script/tile_language.h"

#include "ir/op.h"
#include "ir/script/function_builder.h"
#include "ir/script/layouts.h"
#include "ir/script/regions.h"
#include "ir/tir/grid_sync.h"
#include "ir/tir/layout.h"
#include "ir/tir/printing.h"
#include "ir/tir/tile_annotations.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>
#include <array>

namespace temper::script {

using tir::TileParameter;
using tir::TileParameterType;

namespace {

/// The builder of the prim_func around the call; reports and returns null outside.
FunctionBuilder* builder_of(Evaluator& evaluator, const CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  if (builder == nullptr)
    evaluator.report(call.position, std::string(call.callee->name) +
                                        " stands inside a function decorated with @T.prim_func");
  return builder;
}

/// One to three extents: a number, or a tuple of numbers.
bool read_axes(Evaluator& evaluator, const Value& value, Position position,
               std::vector<Expr>& result) {
  const std::vector<Value> one{value};
  for (const Value& item : value.sequence() != nullptr ? *value.sequence() : one) {
    Expr extent = evaluator.to_index(item, position, false);
    if (!extent)
      return false;
    if (const auto constant = as_int(extent); constant && *constant <= 0) {
      evaluator.report(position, "an axis of a kernel has at least one block and one thread, not " +
                                     std::to_string(*constant));
      return false;
    }
    result.push_back(std::move(extent));
  }
  return true;
}

/// A region of which only the first element is given: A[by * 64, k * 32].
bool is_first_element(const Value& value) {
  const auto* expr = value.as<Expr>();
  return expr != nullptr && expr->is<BufferLoad>();
}

/// The extents of an operand as it is written, those of 1 among them; an index alone is none. A
/// region of `rank` dimensions may have fewer: then those of 1 go, the first ones first.
std::vector<Expr> written_extents(const Value& value, const BufferRegion& region, size_t rank) {
  const auto* parts = value.as<Region>();
  std::vector<Expr> extents;
  for (size_t d = 0; d < region.region.size(); ++d)
    if (parts == nullptr || (*parts->indices)[d].end)
      extents.push_back(region.region[d].extent);
  for (size_t d = 0; d < extents.size() && extents.size() > rank;)
    if (is_int(extents[d], 1))
      extents.erase(extents.begin() + static_cast<std::ptrdiff_t>(d));
    else
      ++d;
  return extents;
}

/// The element's region gets the extents of `shape` along its last dimensions.
bool extend(BufferRegion& region, const std::vector<Expr>& shape) {
  if (shape.size() > region.region.size())
    return false;
  const size_t first = region.region.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d)
    region.region[first + d].extent = shape[d];
  return true;
}

std::optional<Expr> read_option(Evaluator& evaluator, const TileParameter& parameter,
                                const Value& value, Position where) {
  switch (parameter.type) {
  case TileParameterType::kFlag:
    if (const auto flag = value.is_ir() ? std::nullopt : evaluator.truth(value))
      return make_bool(*flag);
    evaluator.report(where, parameter.name + " is True or False, known before the kernel runs");
    return std::nullopt;
  case TileParameterType::kInteger:
    if (const auto number = evaluator.to_int64(value, where, parameter.name.c_str()))
      return make_int(DataType::int32(), *number);
    return std::nullopt;
  default:
    if (const auto text = evaluator.to_string(value, where, parameter.name.c_str()))
      return make_string(*text);
    return std::nullopt;
  }
}

bool same_constant(const Expr& a, const Expr& b) {
  const auto* x = a.as<StringImm>();
  const auto* y = b.as<StringImm>();
  if (x != nullptr || y != nullptr)
    return x != nullptr && y != nullptr && x->value == y->value;
  return as_int(a) == as_int(b);
}

/// What is wrong with clusters of so many blocks along each axis; empty: nothing.
std::string cluster_problem(const std::vector<Expr>& grid, const std::vector<Expr>& dims) {
  if (dims.size() > grid.size())
    return "a cluster has as many axes as the grid, at most";
  for (size_t d = 0; d < dims.size(); ++d) {
    const auto size = as_int(dims[d]);
    const auto extent = as_int(grid[d]);
    if (!size)
      return "the size of a cluster is known before the kernel runs";
    if (extent && *extent % *size != 0)
      return "a grid of " + std::to_string(*extent) + " blocks does not divide into clusters of " +
             std::to_string(*size);
  }
  return {};
}

/// Takes out of the call what TileLang's programs say about how, never about what: it is read and
/// checked, and how is this target's variants' to choose. False when one is wrong (reported).
bool read_hints(Evaluator& evaluator, CallArguments& call,
                std::initializer_list<const char*> hints) {
  bool ok = true;
  for (size_t i = 0; i < call.keywords.size();) {
    const auto& [name, value] = call.keywords[i];
    const Position where = call.keyword_positions[i];
    const std::string_view key = name;
    if (std::find(hints.begin(), hints.end(), key) == hints.end()) {
      ++i;
      continue;
    }
    if (value.is_poison()) {
      ok = false;
    } else if (value.is<None>()) {
      // left out
    } else if (key == "eviction_policy") {
      const auto policy = evaluator.to_string(value, where, "eviction_policy");
      ok &= policy.has_value();
      if (policy && *policy != "evict_normal" && *policy != "evict_first" &&
          *policy != "evict_last") {
        evaluator.report(where,
                         "eviction_policy is evict_normal, evict_first or evict_last, not '" +
                             *policy + "'");
        ok = false;
      }
    } else if (key == "prefer_instruction") {
      ok &= evaluator.to_string(value, where, "prefer_instruction").has_value();
    } else if (key == "batch") {
      const auto batch = evaluator.to_int64(value, where, "batch");
      ok &= batch.has_value() && *batch >= 1;
      if (batch && *batch < 1)
        evaluator.report(where, "batch is at least 1, not " + std::to_string(*batch));
    } else if (key == "nan_propagate") {
      const auto flag = value.is_ir() ? std::nullopt : evaluator.truth(value);
      if (!flag || *flag) {
        evaluator.report(where, "where an element is NaN, either it or another may come out; for "
                                "NaN itself, ask T.isnan of the elements, and T.if_then_else");
        ok = false;
      }
    } else if (key == "prefer_async" || key == "explicit") {
      if (value.is_ir() || !evaluator.truth(value)) {
        evaluator.report(where, name + " is True or False, known before the kernel runs");
        ok = false;
      }
    } else if (key == "mbar") {
      evaluator.report(where, "products are waited for where their result is read; leave mbar out");
      ok = false;
    }
    call.keywords.erase(call.keywords.begin() + static_cast<std::ptrdiff_t>(i));
    call.keyword_positions.erase(call.keyword_positions.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return ok;
}

} // namespace

Value tile_kernel(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  if (builder->in_kernel())
    return evaluator.report(call.position, "a kernel stands in no other kernel; end the one around "
                                           "it first: kernels of a function run one by one");
  auto spec = std::make_shared<KernelSpec>();
  if (call.positional.empty())
    return evaluator.report(call.position,
                            "T.Kernel needs the extents of its grid: T.Kernel(8, 8, threads=128)");
  for (size_t i = 0; i < call.positional.size(); ++i)
    if (!read_axes(evaluator, call.positional[i], call.positions[i], spec->grid))
      return Poison{};
  if (spec->grid.size() > 3)
    return evaluator.report(call.position, "a grid has at most three axes, not " +
                                               std::to_string(spec->grid.size()));
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    const auto& [name, value] = call.keywords[i];
    const Position where = call.keyword_positions[i];
    if (name == "threads") {
      if (!value.is<None>() && !read_axes(evaluator, value, where, spec->threads))
        return Poison{};
    } else if (name == "annotations") {
      if (!evaluator.to_annotations(value, where, spec->annotations))
        return Poison{};
    } else if (name == "cluster_dims") {
      // Without its clusters the kernel is read on: what stands in it is not to blame.
      std::vector<Expr> dims;
      if (value.is<None>() || !read_axes(evaluator, value, where, dims))
        continue;
      if (const std::string problem = cluster_problem(spec->grid, dims); !problem.empty())
        evaluator.report(where, problem);
      else
        spec->annotations = spec->annotations.with("cluster", make_list(std::move(dims)));
    } else if (name == "prelude") {
      if (value.is<None>())
        continue;
      const auto text = evaluator.to_string(value, where, "a prelude");
      if (!text)
        return Poison{};
      spec->annotations = spec->annotations.with("prelude", make_string(*text));
    } else if (name == "is_cpu") {
      continue; // what it runs on is the target's
    } else {
      static const std::vector<std::string> kNames{"threads", "cluster_dims", "prelude",
                                                   "annotations"};
      return evaluator.report(where, "T.Kernel has no argument '" + name + "'" +
                                         did_you_mean(name, kNames) +
                                         "; it has threads=, cluster_dims=, prelude= and "
                                         "annotations=");
    }
  }
  if (spec->threads.empty()) {
    spec->threads.push_back(make_int(DataType::int32(), 128));
    spec->annotations = spec->annotations.with(tir::kOpenThreads, make_bool(true));
  }
  if (spec->threads.size() > 3)
    return evaluator.report(call.position, "the threads of a block have at most three axes");
  ContextSpec context;
  context.kind = ContextSpec::Kind::kKernel;
  context.kernel = std::move(spec);
  return context;
}

Value tile_call(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  const tir::TileOp* op = tir::find_tile_op(call.callee->data);
  TEMPER_CHECK(op != nullptr, "the table names registered operators");
  if (builder == nullptr)
    return Poison{};
  std::vector<const char*> names;
  size_t required = 0;
  for (const TileParameter& parameter : op->parameters) {
    names.push_back(parameter.name.c_str());
    if (!parameter.default_value && !parameter.in_place)
      required = names.size();
  }
  names.push_back("annotations");
  const bool copies = op->name == "copy";
  const bool reduces = op->name.starts_with("reduce_");
  if ((copies &&
       !read_hints(evaluator, call, {"eviction_policy", "prefer_instruction", "loop_layout"})) ||
      (reduces && !read_hints(evaluator, call, {"batch", "nan_propagate"})) ||
      (op->name == "gemm" && !read_hints(evaluator, call, {"mbar"})))
    return Poison{};
  ArgReader args(evaluator, call, names, required);
  if (!args.ok())
    return Poison{};
  if (!builder->in_kernel())
    return evaluator.report(call.position, std::string(call.callee->name) +
                                               " stands inside of a kernel: with T.Kernel(...):");

  std::vector<BufferRegion> regions;
  std::vector<bool> first_element;
  std::vector<const Value*> given_regions;
  std::vector<Expr> values;
  Annotations options;
  for (size_t i = 0; i < op->parameters.size(); ++i) {
    const TileParameter& parameter = op->parameters[i];
    const bool given = args.has(i) && !args[i].is<None>();
    if (tir::is_region(parameter.type)) {
      if (!given && parameter.in_place) {
        regions.push_back(regions[0]);
        first_element.push_back(false);
        given_regions.push_back(given_regions[0]);
        continue;
      }
      auto region = builder->to_region(args[i], args.where(i));
      if (!region)
        return Poison{};
      regions.push_back(std::move(*region));
      first_element.push_back(is_first_element(args[i]));
      given_regions.push_back(&args[i]);
    } else if (parameter.type == TileParameterType::kValue) {
      Expr value = evaluator.to_expr(args[i], args.where(i),
                                     regions.empty() ? std::nullopt
                                                     : std::optional(regions[0].buffer->dtype));
      if (!value)
        return Poison{};
      values.push_back(std::move(value));
    } else if (given) {
      const auto option = read_option(evaluator, parameter, args[i], args.where(i));
      if (!option)
        return Poison{};
      if (!same_constant(*option, parameter.default_value))
        options = options.with(parameter.name, *option);
    }
  }
  if (const size_t last = op->parameters.size(); args.has(last) && !args[last].is<None>()) {
    Annotations more;
    if (!evaluator.to_annotations(args[last], args.where(last), more))
      return Poison{};
    for (const Annotation& entry : more.entries)
      options = options.with(entry.key, entry.value);
  }
  if (op->extents_from_others) {
    // The others' extents, of the first operand that has its own.
    const auto known = std::find(first_element.begin(), first_element.end(), false);
    if (known == first_element.end())
      return evaluator.report(call.position,
                              std::string(call.callee->name) +
                                  " needs the extents of one operand: a whole buffer, or a region "
                                  "as A[i:i + 64, 0:32]");
    const auto from = static_cast<size_t>(known - first_element.begin());
    const BufferRegion& source = regions[from];
    for (size_t i = 0; i < regions.size(); ++i)
      if (first_element[i] && !extend(regions[i], written_extents(*given_regions[from], source,
                                                                  regions[i].region.size())))
        return evaluator.report(call.position, regions[i].buffer->name + " has " +
                                                   std::to_string(regions[i].region.size()) +
                                                   " dimensions, too few for the tile " +
                                                   tir::tile_text(source));
  }
  const Stmt statement =
      tir::make_tile_call(op->name, std::move(regions), std::move(values), std::move(options));
  if (const auto good = tir::check_tile_call(*statement.as<tir::TileCall>()); !good)
    return evaluator.report(call.position, good.error().message);
  if (const auto good = tir::check_tile_annotations(*statement.as<tir::TileCall>()); !good)
    return evaluator.report(call.position, good.error().message);
  builder->add(statement, call.position);
  return None{};
}

Value tile_parallel(Evaluator& evaluator, CallArguments& call) {
  if (builder_of(evaluator, call) == nullptr ||
      !read_hints(evaluator, call, {"loop_layout", "prefer_async"}))
    return Poison{};
  auto spec = std::make_shared<LoopSpec>();
  spec->kind = tir::ForKind::kTileParallel;
  spec->is_grid = true;
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    const auto& [name, value] = call.keywords[i];
    if (name == "annotations") {
      if (!evaluator.to_annotations(value, call.keyword_positions[i], spec->annotations))
        return Poison{};
    } else if (name == "coalesced_width") {
      const auto width = evaluator.to_int64(value, call.keyword_positions[i], "coalesced_width");
      if (!width)
        return Poison{};
      if (*width < 1)
        return evaluator.report(call.keyword_positions[i], "coalesced_width is at least one "
                                                           "element, not " +
                                                               std::to_string(*width));
      spec->annotations = spec->annotations.with(name, make_int(DataType::int32(), *width));
    } else {
      return evaluator.report(call.keyword_positions[i],
                              "T.Parallel has no argument '" + name +
                                  "'; it has coalesced_width=, loop_layout=, "
                                  "prefer_async= and annotations=");
    }
  }
  if (call.positional.empty())
    return evaluator.report(call.position, "T.Parallel takes extents: T.Parallel(64, 32)");
  for (size_t i = 0; i < call.positional.size(); ++i) {
    Expr extent = evaluator.to_index(call.positional[i], call.positions[i], false);
    if (!extent)
      return Poison{};
    spec->ranges.push_back({make_int(extent->dtype, 0), extent});
  }
  return std::shared_ptr<const LoopSpec>(std::move(spec));
}

Value tile_pipelined(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call,
                 {"start", "stop", "num_stages", "order", "stage", "sync", "group", "annotations"},
                 1);
  if (builder_of(evaluator, call) == nullptr || !args.ok())
    return Poison{};
  auto spec = std::make_shared<LoopSpec>();
  spec->kind = tir::ForKind::kPipelined;
  const Value zero(Int{0});
  const bool has_stop = args.has(1) && !args[1].is<None>();
  const Value& begin = has_stop ? args[0] : zero;
  const Value& end = has_stop ? args[1] : args[0];
  Expr first = evaluator.to_index(begin, args.where(0), false);
  Expr last = first ? evaluator.to_index(end, args.where(has_stop ? 1 : 0), false) : nullptr;
  if (!first || !last || !evaluator.operands(begin, end, args.where(0), "T.Pipelined", first, last))
    return Poison{};
  spec->ranges.push_back({first, extent_between(first, last)});
  if (args.has(7) && !args[7].is<None>() &&
      !evaluator.to_annotations(args[7], args.where(7), spec->annotations))
    return Poison{};
  if (args.has(2)) {
    const auto stages = evaluator.to_int64(args[2], args.where(2), "num_stages");
    if (!stages)
      return Poison{};
    if (*stages < 0 || *stages > 64)
      return evaluator.report(args.where(2), "num_stages is from 0 (no overlap) to 64, not " +
                                                 std::to_string(*stages));
    spec->annotations = spec->annotations.with("num_stages", make_int(DataType::int32(), *stages));
  }
  for (const auto& [index, name] : {std::pair{size_t{3}, "order"},
                                    {size_t{4}, "stage"},
                                    {size_t{5}, "sync"},
                                    {size_t{6}, "group"}}) {
    if (!args.has(index) || args[index].is<None>())
      continue;
    Expr list = evaluator.to_annotation(args[index], args.where(index));
    if (!list)
      return Poison{};
    if (!list.is<ListImm>())
      return evaluator.report(args.where(index), std::string(name) + " is a list of integers");
    spec->annotations = spec->annotations.with(name, list);
  }
  return std::shared_ptr<const LoopSpec>(std::move(spec));
}

Value tile_thread(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"dim"}, 0);
  if (builder == nullptr || !args.ok())
    return Poison{};
  int64_t dim = 0;
  if (args.has(0)) {
    const auto given = evaluator.to_int64(args[0], args.where(0), "the axis of the threads");
    if (!given)
      return Poison{};
    dim = *given;
  }
  const std::vector<Var>* threads = builder->kernel_threads();
  if (threads == nullptr)
    return evaluator.report(call.position,
                            "threads have numbers inside of a kernel: with T.Kernel(...):");
  if (dim < 0 || dim >= static_cast<int64_t>(threads->size()))
    return evaluator.report(call.position, "the threads of this kernel have " +
                                               std::to_string(threads->size()) +
                                               (threads->size() == 1 ? " axis" : " axes") +
                                               ", so there is no axis " + std::to_string(dim));
  return Value(Expr((*threads)[static_cast<size_t>(dim)])).defining();
}

Value use_swizzle(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"panel_size", "order", "enable"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto panel = evaluator.to_int64(args[0], args.where(0), "panel_size");
  const auto order = args.has(1) ? evaluator.to_string(args[1], args.where(1), "order")
                                 : std::optional<std::string>("row");
  const auto enable = args.has(2) ? evaluator.truth(args[2]) : std::optional<bool>(true);
  if (!panel || !order || !enable)
    return Poison{};
  if (builder->kernel_annotations() == nullptr)
    return evaluator.report(call.position, "T.use_swizzle stands inside of a kernel: with "
                                           "T.Kernel(...):");
  if (*order != "row" && *order != "column")
    return evaluator.report(args.where(1), "blocks are walked by \"row\" or by \"column\"");
  if (*panel < 1)
    return evaluator.report(args.where(0), "a panel has at least one row of blocks");
  if (*enable) {
    Annotations& annotations = *builder->kernel_annotations();
    annotations = annotations.with("panel_size", make_int(DataType::int32(), *panel));
    if (*order != "row")
      annotations = annotations.with("panel_order", make_string(*order));
  }
  return None{};
}

Value annotate_layout(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"layout_map"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto* map = args[0].as<Dict>();
  if (map == nullptr)
    return evaluator.report(args.where(0), "T.annotate_layout takes layouts by buffer: {A_shared: "
                                           "T.make_swizzled_layout(A_shared)}");
  for (const auto& [key, value] : *map->items) {
    if (key.is_poison() || value.is_poison())
      return Poison{};
    const auto* buffer = key.as<Buffer>();
    if (buffer == nullptr)
      return evaluator.report(args.where(0),
                              "T.annotate_layout names buffers, not " + describe(key));
    Expr layout;
    if (const auto* expr = value.as<Expr>(); expr != nullptr) {
      layout = *expr;
    } else if (value.is<const Closure*>()) {
      // A lambda of the coordinate is a layout of the buffer's shape.
      std::vector<Value> shape;
      for (const Expr& extent : (*buffer)->shape)
        shape.emplace_back(static_cast<Int>(as_int(extent).value_or(-1)));
      static const Builtin kLayout = [] {
        Builtin builtin;
        builtin.name = "T.Layout";
        builtin.function = layout_value;
        return builtin;
      }();
      CallArguments inner;
      inner.position = args.where(0);
      inner.callee = &kLayout;
      inner.positional = {make_sequence(std::move(shape), true), value};
      inner.positions = {args.where(0), args.where(0)};
      const Value made = layout_value(evaluator, inner);
      if (made.is_poison())
        return Poison{};
      layout = *made.as<Expr>();
    }
    const auto known = layout ? tir::layout_of(layout)
                              : Result<tir::Layout>(Error(ErrorCode::kInvalidArgument, ""));
    if (!known)
      return evaluator.report(args.where(0), "the layout of " + (*buffer)->name +
                                                 " is T.Layout(...), T.Fragment(...), "
                                                 "T.make_swizzled_layout(...) or a lambda, not " +
                                                 describe(value));
    int64_t elements = 1;
    for (const int64_t extent : known->shape)
      elements *= extent;
    const auto count = (*buffer)->element_count();
    if (count && *count != elements)
      return evaluator.report(args.where(0), "the layout has " + std::to_string(elements) +
                                                 " elements, but " + (*buffer)->name + " has " +
                                                 std::to_string(*count));
    if (!builder->annotate_allocation(*buffer, "layout", layout))
      return evaluator.report(args.where(0), (*buffer)->name +
                                                 " is not allocated in this kernel; layouts are "
                                                 "chosen for shared memory and fragments");
  }
  return None{};
}

Value kernel_hint(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  const std::string name = call.callee->data;
  // T.set_max_nreg(240, 1) is of a role, as T.inc_max_nreg(240) is.
  static constexpr std::array<const char*, 2> kNames{"value", "is_inc"};
  ArgReader args(evaluator, call, std::span(kNames).first(name == "max_registers" ? 2 : 1), 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  if (name == "max_registers" && args.has(1)) {
    CallArguments inner = call;
    inner.positional = {args[0]};
    inner.positions = {args.where(0)};
    inner.keywords.clear();
    inner.keyword_positions.clear();
    return register_hint(evaluator, inner);
  }
  if (builder->kernel_annotations() == nullptr)
    return evaluator.report(call.position, std::string(call.callee->name) +
                                               " stands inside of a kernel: with T.Kernel(...):");
  Expr hint;
  if (const auto* map = args[0].as<Dict>()) {
    // {A: 0.5} as [["A", 0.5]]: annotations are plain values.
    std::vector<Expr> items;
    for (const auto& [key, value] : *map->items) {
      const auto* buffer = key.as<Buffer>();
      if (buffer == nullptr)
        return evaluator.report(args.where(0), std::string(call.callee->name) +
                                                   " names buffers, not " + describe(key));
      Expr one = evaluator.to_annotation(value, args.where(0));
      if (!one)
        return Poison{};
      items.push_back(make_list({make_string((*buffer)->name), std::move(one)}));
    }
    hint = make_list(std::move(items));
  } else {
    hint = evaluator.to_annotation(args[0], args.where(0));
  }
  if (!hint)
    return Poison{};
  Annotations& annotations = *builder->kernel_annotations();
  annotations = annotations.with(name, hint);
  return None{};
}

Value tile_persistent(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"domain", "wave_size", "index", "group_size"}, 3);
  if (builder == nullptr || !args.ok())
    return Poison{};
  auto spec = std::make_shared<LoopSpec>();
  if (args[0].sequence() == nullptr || args[0].sequence()->empty())
    return evaluator.report(args.where(0), "T.Persistent takes the extents of its tiles as a list: "
                                           "[T.ceildiv(M, 64), T.ceildiv(N, 64)]");
  Expr blocks = evaluator.to_index(args[1], args.where(1), false);
  Expr block = evaluator.to_index(args[2], args.where(2), false);
  if (!blocks || !block)
    return Poison{};
  const DataType dtype = block->dtype;
  for (const Value& item : *args[0].sequence()) {
    Expr extent = evaluator.to_index(item, args.where(0), false);
    if (!extent)
      return Poison{};
    extent = tir::tile_cast(dtype, as_int(extent) ? make_int(dtype, *as_int(extent)) : extent);
    spec->ranges.push_back({make_int(dtype, 0), extent});
  }
  if (args.has(3) && !args[3].is<None>()) {
    const auto group = evaluator.to_int64(args[3], args.where(3), "group_size");
    if (!group)
      return Poison{};
    if (*group < 1)
      return evaluator.report(args.where(3), "a group has at least one tile");
    spec->persistent_group = *group;
  } else {
    spec->persistent_group = 8;
  }
  spec->persistent_blocks =
      as_int(blocks) ? make_int(dtype, *as_int(blocks)) : tir::tile_cast(dtype, blocks);
  spec->persistent_block = block;
  return std::shared_ptr<const LoopSpec>(std::move(spec));
}

Value tile_atomic(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  ArgReader args(evaluator, call, {"dst", "value", "memory_order", "return_prev", "use_tma"}, 2);
  if (!args.ok())
    return Poison{};
  const std::string name = call.callee->name;
  if (args.has(3) && evaluator.truth(args[3]).value_or(true))
    return evaluator.report(args.where(3), name + " gives no value here; leave return_prev out");
  if (args.has(2) && !args[2].is<None>() && args[2].text() == nullptr)
    return evaluator.report(args.where(2), "a memory order is a name, as \"relaxed\"");
  const auto is_tile = [](const Value& value) { return value.is<Buffer>() || value.is<Region>(); };
  if (is_tile(args[0]) || is_tile(args[1])) {
    CallArguments inner = call;
    inner.positional = {args[0], args[1]};
    inner.positions = {args.where(0), args.where(1)};
    inner.keywords.clear();
    inner.keyword_positions.clear();
    return tile_call(evaluator, inner);
  }
  const auto* place = args[0].as<Expr>();
  if (place == nullptr || !place->is<BufferLoad>())
    return args[0].is_poison()
               ? Value(Poison{})
               : evaluator.report(args.where(0), name +
                                                     " changes an element of a buffer, as C[i, "
                                                     "j], not " +
                                                     describe(args[0]));
  const DataType dtype = (*place)->dtype;
  Expr value = evaluator.to_expr(args[1], args.where(1), dtype);
  if (!value)
    return Poison{};
  if (value->dtype != dtype) {
    if (value->dtype.is_floating() && !dtype.is_floating())
      return evaluator.report(args.where(1),
                              "the buffer holds " + temper::to_string(dtype) +
                                  ", but the value is " + temper::to_string(value->dtype) +
                                  "; write T.Cast(\"" + temper::to_string(dtype) + "\", ...)");
    value = make_cast(dtype, value);
  }
  builder->add(tir::make_evaluate(call_op(call.callee->data, {*place, std::move(value)})),
               call.position);
  return None{};
}

Value device_assert(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"condition", "msg"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const Expr condition = evaluator.to_condition(args[0], args.where(0));
  std::string message = "assertion failed";
  if (args.has(1)) {
    const auto text = evaluator.to_string(args[1], args.where(1), "an assertion's message");
    if (!text)
      return Poison{};
    message = *text;
  }
  if (condition)
    builder->add(tir::make_assert(condition, message), call.position);
  return None{};
}

Value restrict_buffers(Evaluator& evaluator, CallArguments& call) {
  for (size_t i = 0; i < call.positional.size(); ++i)
    if (!call.positional[i].is<Buffer>() && !call.positional[i].is_poison())
      return evaluator.report(call.positions[i], "T.annotate_restrict_buffers names buffers, not " +
                                                     describe(call.positional[i]));
  return None{}; // parameters never overlap
}

Value safe_value(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"safe_value_map"}, 1);
  if (!args.ok())
    return Poison{};
  const auto* map = args[0].as<Dict>();
  if (map == nullptr)
    return evaluator.report(args.where(0), "T.annotate_safe_value takes values by buffer: {A: 0}");
  for (const auto& [key, value] : *map->items) {
    const Expr number = evaluator.to_expr(value, args.where(0), DataType::float32());
    if (!number)
      return Poison{};
    const auto* constant = number.as<FloatImm>();
    if (constant == nullptr || constant->value != 0)
      return evaluator.report(args.where(0), "what is read outside of a tensor is 0; for another "
                                             "value write T.if_then_else(inside, A[...], value)");
  }
  return None{};
}

Value any_or_all(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"buffer"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto region = builder->to_region(args[0], args.where(0));
  if (!region)
    return Poison{};
  const bool any = std::string_view(call.callee->data) == "any";
  const DataType dtype = DataType::int32();
  const Expr zero = make_int(dtype, 0);
  const Value first(Int{any ? 0 : 1});
  const Value found = builder->new_scalar(builder->pending_name(0, any ? "any" : "all"), dtype,
                                          &first, call.position);
  const auto* scalar = found.as<ScalarVar>();
  if (scalar == nullptr)
    return Poison{};
  const tir::TileLoops loops(tir::tile_shape(*region));
  const Expr holds = tir::tile_cast(dtype, make_binary<NE>(tir::tile_load(*region, loops.indices),
                                                           make_const(region->buffer->dtype, 0)));
  const Expr known = make_load(scalar->buffer, {zero});
  builder->add(loops.wrap(tir::make_store(scalar->buffer, {zero},
                                          any ? max(known, holds) : min(known, holds))),
               call.position);
  return Value(make_binary<NE>(make_load(scalar->buffer, {zero}), zero));
}

namespace {

/// In a type that lines of text have: narrow ones wider.
Expr printed(const Expr& value) {
  const DataType dtype = value->dtype;
  if (dtype.is_floating())
    return dtype.bits < 32 ? make_cast(DataType::float32(), value) : value;
  return dtype.is_bool() || dtype.bits < 8 ? make_cast(DataType::int32(), value) : value;
}

} // namespace

Value print_values(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  const auto line = [](std::vector<Expr> operands) {
    return tir::make_evaluate(call_op(tir::kPrint, std::move(operands)));
  };
  if (!call.positional.empty() && call.positional[0].text() != nullptr) {
    if (!call.keywords.empty())
      return evaluator.report(call.keyword_positions[0],
                              "T.print takes its text first, then the value of each {} in it");
    const std::string& text = *call.positional[0].text();
    const size_t places = tir::count_places(text);
    if (places + 1 != call.positional.size())
      return evaluator.report(call.positions[0],
                              "the text has " + std::to_string(places) + " times {}, but " +
                                  std::to_string(call.positional.size() - 1) + " values follow it");
    std::vector<Expr> operands{make_string(text)};
    for (size_t i = 1; i < call.positional.size(); ++i) {
      const Expr value = evaluator.to_expr(call.positional[i], call.positions[i]);
      if (!value)
        return Poison{};
      operands.push_back(printed(value));
    }
    builder->add(line(std::move(operands)), call.position);
    return None{};
  }
  ArgReader args(evaluator, call, {"obj", "msg", "warp_group_id", "warp_id"}, 1);
  if (!args.ok())
    return Poison{};
  for (const size_t warp : {size_t{2}, size_t{3}})
    if (args.has(warp))
      return evaluator.report(args.where(warp), "T.print writes what the code around it sees; put "
                                                "if T.get_warp_idx() == n: around it");
  std::string text;
  if (args.has(1)) {
    const auto message = evaluator.to_string(args[1], args.where(1), "msg");
    if (!message)
      return Poison{};
    text = tir::escaped_braces(*message) + ": ";
  }
  if (!args[0].is<Buffer>() && !args[0].is<Region>()) {
    const Expr value = evaluator.to_expr(args[0], args.where(0));
    if (!value)
      return Poison{};
    builder->add(line({make_string(text + "{}"), printed(value)}), call.position);
    return None{};
  }
  const auto region = builder->to_region(args[0], args.where(0));
  if (!region)
    return Poison{};
  const tir::TileLoops loops(tir::tile_shape(*region));
  std::vector<Expr> operands{nullptr};
  std::string places;
  for (const Expr& index : tir::tile_indices(*region, loops.indices)) {
    places += places.empty() ? "{}" : ", {}";
    operands.push_back(index);
  }
  operands[0] = make_string(text + region->buffer->name + "[" + places + "] = {}");
  operands.push_back(printed(tir::tile_load(*region, loops.indices)));
  builder->add(loops.wrap(line(std::move(operands)), tir::ForKind::kTileParallel), call.position);
  return None{};
}

Value sync_grid(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {}, 0);
  if (builder == nullptr || !args.ok())
    return Poison{};
  if (!builder->directly_in_kernel())
    return evaluator.report(call.position,
                            "T.sync_grid() stands directly in a kernel, not in a loop, a condition "
                            "or outside: there the kernel ends for all blocks and goes on; write "
                            "the loop around the kernels instead");
  builder->note_grid_sync(call.position);
  builder->add(tir::make_evaluate(call_op(tir::kSyncGrid, {})), call.position);
  return None{};
}

Value dot_of_four(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"A", "B", "C"}, 3);
  if (builder == nullptr || !args.ok())
    return Poison{};
  std::vector<BufferRegion> regions;
  for (size_t i = 0; i < 3; ++i) {
    const auto region = builder->to_region(args[i], args.where(i));
    if (!region)
      return Poison{};
    const std::vector<Expr> shape = tir::tile_shape(*region);
    const DataType dtype = region->buffer->dtype;
    const bool fits =
        i < 2 ? shape.size() == 1 && is_int(shape[0], 4) && dtype.is_integral() && dtype.bits == 8
              : shape.empty() && dtype == DataType::int32();
    if (!fits)
      return evaluator.report(args.where(i),
                              "T.dp4a multiplies four int8 by four int8 and adds them "
                              "to one int32: " +
                                  tir::tile_text(*region) + " is " + temper::to_string(dtype));
    regions.push_back(*region);
  }
  Expr sum = tir::tile_load(regions[2], {});
  for (int64_t k = 0; k < 4; ++k) {
    const std::vector<Expr> at{make_int(DataType::int32(), k)};
    const auto factor = [&](const BufferRegion& region) {
      return tir::tile_cast(DataType::int32(), tir::tile_load(region, at));
    };
    sum = sum + factor(regions[0]) * factor(regions[1]);
  }
  builder->add(tir::tile_store(regions[2], {}, sum), call.position);
  return None{};
}

Value alloc_reducer(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"shape", "dtype", "op", "replication"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  std::string op = "sum";
  if (args.has(2)) {
    const auto text = evaluator.to_string(args[2], args.where(2), "a reducer's op");
    if (!text)
      return Poison{};
    op = *text;
  }
  if (op != "sum" && op != "max" && op != "min")
    return evaluator.report(args.where(2), "a reducer's op is sum, max or min, not '" + op + "'");
  BufferType type;
  type.scope = "local.fragment";
  const std::vector<Value> one{args[0]};
  const std::vector<Value>& shape = args[0].sequence() != nullptr ? *args[0].sequence() : one;
  type.shape = shape;
  const auto dtype = evaluator.to_dtype(args[1], args.where(1));
  if (!dtype)
    return Poison{};
  type.dtype = *dtype;
  const Buffer buffer =
      builder->make_typed_buffer(type, builder->pending_name(0, "reducer"), call.position);
  if (!buffer)
    return Poison{};
  evaluator.set_span(buffer, call.position);
  builder->note_reducer(buffer, std::move(op));
  builder->add(tir::make_alloc(buffer), call.position);
  return Value(buffer).defining();
}

Value finalize_reducer(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"reducer"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto* buffer = args[0].as<Buffer>();
  if (buffer == nullptr || !builder->is_reducer(*buffer))
    return args[0].is_poison()
               ? Poison{}
               : evaluator.report(args.where(0), "T.finalize_reducer takes what T.alloc_reducer "
                                                 "made, not " +
                                                     describe(args[0]));
  return None{};
}

Expr fold_warp(FunctionBuilder& builder, const Expr& value, WarpFold fold, Position position) {
  const Value first(value);
  const Value made =
      builder.new_scalar(builder.pending_name(0, "of_warp"), value->dtype, &first, position);
  const auto* scalar = made.as<ScalarVar>();
  if (scalar == nullptr)
    return nullptr;
  const std::vector<Expr> at{make_int(DataType::int32(), 0)};
  const Expr now = make_load(scalar->buffer, at);
  for (int64_t distance = 16; distance > 0; distance /= 2) {
    const Expr other = call_op("shfl_xor_sync", {now, make_int(DataType::int32(), distance)});
    builder.add(tir::make_store(scalar->buffer, at,
                                fold == WarpFold::kSum      ? make_binary<Add>(now, other)
                                : fold == WarpFold::kMax    ? make_binary<Max>(now, other)
                                : fold == WarpFold::kMin    ? make_binary<Min>(now, other)
                                : fold == WarpFold::kBitAnd ? call_op("bitwise_and", {now, other})
                                                            : call_op("bitwise_or", {now, other})),
                position);
  }
  return now;
}

Value warp_reduce(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"value"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const Expr value = evaluator.to_expr(args[0], args.where(0));
  if (!value)
    return Poison{};
  const std::string_view op = call.callee->data;
  const bool bits = op == "bitand" || op == "bitor";
  if (bits && !value->dtype.is_integral())
    return evaluator.report(args.where(0), std::string(call.callee->name) +
                                               " joins the bits of integers, not " +
                                               temper::to_string(value->dtype));
  const Expr folded = fold_warp(*builder, value,
                                op == "sum"      ? WarpFold::kSum
                                : op == "max"    ? WarpFold::kMax
                                : op == "min"    ? WarpFold::kMin
                                : op == "bitand" ? WarpFold::kBitAnd
                                                 : WarpFold::kBitOr,
                                call.position);
  return folded ? Value(folded) : Value(Poison{});
}

Value alloc_var(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = builder_of(evaluator, call);
  ArgReader args(evaluator, call, {"dtype", "init", "scope"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto dtype = evaluator.to_dtype(args[0], args.where(0));
  if (!dtype)
    return Poison{};
  const std::string name = builder->pending_name(0, "x");
  return builder->new_scalar(name, *dtype, args.has(1) ? &args[1] : nullptr, call.position)
      .defining();
}

} // namespace temper::script
