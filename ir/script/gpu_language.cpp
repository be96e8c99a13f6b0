// What programs for GPUs say beyond loops and tiles: who a thread is (warps, warpgroups, clusters),
// barriers in shared memory, and text that goes to the CUDA compiler as it stands.
#include "ir/script/tile_language.h"

#include "ir/op.h"
#include "ir/script/cuda_file.h"
#include "ir/script/function_builder.h"
#include "ir/tir/inline_ptx.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace temper::script {
namespace {

constexpr int64_t kWarp = 32;
constexpr int64_t kWarpsPerGroup = 4;

/// The builder when the call stands in a kernel; reports and returns null otherwise.
FunctionBuilder* in_kernel(Evaluator& evaluator, const CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  if (builder == nullptr || !builder->in_kernel()) {
    evaluator.report(call.position, std::string(call.callee->name) +
                                        " stands inside of a kernel: with T.Kernel(...):");
    return nullptr;
  }
  return builder;
}

/// x + y * X + z * X * Y: the first axis moves fastest.
Expr linear(FunctionBuilder& builder, const std::vector<Var>& vars) {
  Expr result;
  Expr stride;
  for (const Var& var : vars) {
    const Expr extent = builder.loop_range(var)->extent;
    const Expr index = stride ? Expr(var) * stride : Expr(var);
    result = result ? result + index : index;
    stride = stride ? stride * extent : extent;
  }
  return result;
}

/// The kernel's clusters: how many blocks along each axis.
std::vector<int64_t> cluster_of(FunctionBuilder& builder) {
  std::vector<int64_t> dims(builder.kernel_blocks()->size(), 1);
  const Expr given = builder.kernel_annotations()->get("cluster");
  if (const auto* list = given ? given.as<ListImm>() : nullptr)
    for (size_t d = 0; d < dims.size() && d < list->values.size(); ++d)
      dims[d] = as_int(list->values[d]).value_or(1);
  return dims;
}

} // namespace

Expr thread_number(FunctionBuilder& builder) { return linear(builder, *builder.kernel_threads()); }

Value thread_place(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  const std::string_view what = call.callee->data;
  // T.warp_id([4]) says how many there are, T.get_lane_idx(32) how wide a warp is.
  ArgReader args(evaluator, call, {"size", "group"}, 0);
  if (!args.ok())
    return Poison{};
  const Expr thread = thread_number(*builder);
  int64_t warp = kWarp;
  int64_t group = kWarpsPerGroup;
  const bool declares = args.has(0) && args[0].sequence() != nullptr;
  if (args.has(0) && !declares && !args[0].is<None>()) {
    const auto given = evaluator.to_int64(args[0], args.where(0), "the width of a warp");
    if (!given)
      return Poison{};
    if (*given < 1)
      return evaluator.report(args.where(0), "a warp has at least one thread");
    warp = *given;
  }
  if (args.has(1) && !args[1].is<None>()) {
    const auto given = evaluator.to_int64(args[1], args.where(1), "the warps of a warpgroup");
    if (!given)
      return Poison{};
    if (*given < 1)
      return evaluator.report(args.where(1), "a warpgroup has at least one warp");
    group = *given;
  }
  Expr result;
  int64_t per = 1; // threads that share a number
  if (what == "lane") {
    result = floormod(thread, warp);
  } else if (what == "warp") {
    result = floordiv(thread, per = warp);
  } else if (what == "warp_in_group") {
    result = floormod(floordiv(thread, warp), group);
  } else if (what == "warpgroup") {
    result = floordiv(thread, per = warp * group);
  } else if (what == "thread_in_group") {
    result = floormod(thread, warp * group);
  } else {
    result = thread;
  }
  if (declares) {
    // The extents must be those of this kernel.
    int64_t stated = 1;
    for (const Value& extent : *args[0].sequence()) {
      const auto number = evaluator.to_int64(extent, args.where(0), "an extent");
      if (!number)
        return Poison{};
      stated *= *number;
    }
    int64_t threads = 1;
    for (const Var& var : *builder->kernel_threads())
      threads *= as_int(builder->loop_range(var)->extent).value_or(0);
    const int64_t expected = what == "lane"              ? warp
                             : what == "warp_in_group"   ? group
                             : what == "thread_in_group" ? warp * group
                                                         : threads / per;
    if (threads > 0 && stated != expected)
      return evaluator.report(args.where(0), "this kernel has " + std::to_string(expected) +
                                                 " of them, not " + std::to_string(stated));
  }
  return Value(result).defining();
}

/// with T.ws(0): the code of warpgroup 0; T.ws(1, 2): of two of them.
Value warp_role(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  if (call.positional.empty() || !call.keywords.empty())
    return evaluator.report(call.position,
                            "T.ws takes the numbers of the warpgroups whose role this "
                            "is: with T.ws(0):");
  const Expr group = floordiv(thread_number(*builder), kWarp * kWarpsPerGroup);
  ContextSpec context;
  context.kind = ContextSpec::Kind::kRole;
  for (size_t i = 0; i < call.positional.size(); ++i) {
    const auto number =
        evaluator.to_int64(call.positional[i], call.positions[i], "the number of a warpgroup");
    if (!number)
      return Poison{};
    int64_t threads = 1;
    for (const Var& var : *builder->kernel_threads())
      threads *= as_int(builder->loop_range(var)->extent).value_or(0);
    const int64_t groups = threads / (kWarp * kWarpsPerGroup);
    if (*number < 0 || (threads > 0 && *number >= groups))
      return evaluator.report(
          call.positions[i],
          "a warpgroup is 128 threads, and this kernel has " + std::to_string(threads) + ": " +
              (groups == 0   ? "there is none"
               : groups == 1 ? "there is warpgroup 0 alone"
                             : "warpgroups are 0 to " + std::to_string(groups - 1)) +
              ", not " + std::to_string(*number));
    const Expr here = equal(group, make_int(group->dtype, *number));
    context.condition = context.condition ? logical_or(context.condition, here) : here;
  }
  return context;
}

Value block_place(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"dim"}, 0);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const std::string_view what = call.callee->data;
  const std::vector<Var>& blocks = *builder->kernel_blocks();
  const std::vector<Var>& threads = *builder->kernel_threads();
  if (what == "cluster_rank") {
    Expr rank;
    int64_t stride = 1;
    const std::vector<int64_t> dims = cluster_of(*builder);
    for (size_t d = 0; d < dims.size(); ++d) {
      const Expr part = floormod(Expr(blocks[d]), dims[d]) * stride;
      rank = rank ? rank + part : part;
      stride *= dims[d];
    }
    return Value(rank).defining();
  }
  const bool extents = what == "block_extents" || what == "thread_extents";
  if (extents || what == "all_blocks" || what == "all_threads") {
    std::vector<Value> items;
    for (const Var& var : what == "all_blocks" || what == "block_extents" ? blocks : threads)
      items.emplace_back(extents ? builder->loop_range(var)->extent : Expr(var));
    return make_sequence(std::move(items), true).defining();
  }
  int64_t dim = 0;
  if (args.has(0) && args[0].sequence() == nullptr) {
    const auto given = evaluator.to_int64(args[0], args.where(0), "an axis");
    if (!given)
      return Poison{};
    dim = *given;
  }
  const std::vector<Var>& list = what == "thread_extent" ? threads : blocks;
  if (dim < 0 || dim >= static_cast<int64_t>(list.size()))
    return evaluator.report(call.position, "this kernel has " + std::to_string(list.size()) +
                                               (list.size() == 1 ? " axis" : " axes") +
                                               " here, so there is no axis " + std::to_string(dim));
  const Var& var = list[static_cast<size_t>(dim)];
  if (what == "thread_extent" || what == "block_extent")
    return Value(builder->loop_range(var)->extent);
  if (what == "cluster") {
    const int64_t size = cluster_of(*builder)[static_cast<size_t>(dim)];
    return Value(floordiv(Expr(var), size)).defining();
  }
  if (what == "in_cluster") {
    const int64_t size = cluster_of(*builder)[static_cast<size_t>(dim)];
    return Value(floormod(Expr(var), size)).defining();
  }
  return Value(Expr(var)).defining();
}

Value alloc_barrier(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"arrive_count"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  std::vector<int64_t> counts;
  const std::vector<Value> one{args[0]};
  for (const Value& item : args[0].sequence() != nullptr ? *args[0].sequence() : one) {
    const auto count = evaluator.to_int64(item, args.where(0), "the number of arrivals");
    if (!count)
      return Poison{};
    if (*count < 1 || *count >= 1 << 20)
      return evaluator.report(args.where(0), "a barrier waits for 1 to 1048575 arrivals, not " +
                                                 std::to_string(*count));
    counts.push_back(*count);
  }
  if (counts.empty())
    return evaluator.report(args.where(0), "T.alloc_barrier takes the arrivals of each barrier: "
                                           "128, or [128, 128]");
  const std::string name = builder->pending_name(0, "barrier");
  const DataType i32 = DataType::int32();
  Buffer buffer = make_buffer(name, DataType::uint(64),
                              {make_int(i32, static_cast<int64_t>(counts.size()))}, "shared");
  evaluator.set_span(buffer, call.position);
  builder->add(tir::make_alloc(buffer), call.position);
  // One thread prepares them, and nobody comes by before.
  std::vector<Stmt> init;
  for (size_t i = 0; i < counts.size(); ++i)
    init.push_back(tir::make_evaluate(
        call_op("mbarrier_init", {make_load(buffer, {make_int(i32, static_cast<int64_t>(i))}),
                                  make_int(i32, counts[i])})));
  for (const Stmt& stmt : init)
    evaluator.set_span(stmt, call.position);
  const Expr thread = thread_number(*builder);
  builder->add(tir::make_if(make_binary<EQ>(thread, make_int(thread->dtype, 0)),
                            tir::make_seq(std::move(init))),
               call.position);
  builder->add(tir::make_evaluate(call_op("sync_threads", {})), call.position);
  return Value(buffer).defining();
}

Value barrier_operation(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  if (builder == nullptr)
    return evaluator.report(call.position, std::string(call.callee->name) +
                                               " stands inside a function decorated with "
                                               "@T.prim_func");
  std::string_view op = call.callee->data;
  const bool waits = op == "mbarrier_wait_parity";
  const bool counts = op == "mbarrier_expect_tx" || op == "mbarrier_arrive_expect_tx";
  ArgReader args(evaluator, call,
                 {"mbarrier", waits    ? "parity"
                              : counts ? "tx"
                                       : "cta_id"},
                 waits || counts ? 2 : 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  Expr barrier;
  if (const auto* buffer = args[0].as<Buffer>()) {
    if ((*buffer)->rank() != 1 || !is_int((*buffer)->shape[0], 1))
      return evaluator.report(args.where(0), (*buffer)->name +
                                                 " holds several barriers; name one, "
                                                 "as " +
                                                 (*buffer)->name + "[0]");
    barrier = make_load(*buffer, {make_int(DataType::int32(), 0)});
  } else {
    barrier = evaluator.to_expr(args[0], args.where(0));
  }
  if (!barrier)
    return Poison{};
  const auto* element = barrier.as<BufferLoad>();
  if (element == nullptr || barrier->dtype != DataType::uint(64))
    return evaluator.report(args.where(0), std::string(call.callee->name) +
                                               " takes a barrier that T.alloc_barrier made");
  for (size_t d = 0; d < element->indices.size(); ++d) {
    const auto index = as_int(element->indices[d]);
    const auto extent = as_int(element->buffer->shape[d]);
    if (index && extent && (*index < 0 || *index >= *extent))
      return evaluator.report(args.where(0),
                              fmt::format("{} has {} barrier{}, so there is no number "
                                          "{}",
                                          element->buffer->name, *extent, *extent == 1 ? "" : "s",
                                          *index));
  }
  std::vector<Expr> operands{barrier};
  if (waits || counts) {
    Expr number = evaluator.to_index(args[1], args.where(1), false);
    if (!number)
      return Poison{};
    operands.push_back(std::move(number));
  } else if (args.has(1) && !args[1].is<None>()) {
    Expr rank = evaluator.to_index(args[1], args.where(1), false);
    if (!rank)
      return Poison{};
    op = "mbarrier_arrive_cluster";
    operands.push_back(std::move(rank));
  }
  builder->add(tir::make_evaluate(call_op(op, std::move(operands))), call.position);
  return None{};
}

Value inline_source(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder(); // where blocks are loops there is no kernel
  if (builder == nullptr)
    return evaluator.report(call.position,
                            std::string(call.callee->name) + " stands inside a function decorated with @T.prim_func");
  const std::string name = call.callee->name;
  const bool ptx = std::string_view(call.callee->data) == "inline_ptx";
  if (call.positional.empty() || call.positional[0].text() == nullptr ||
      call.positional[0].text()->empty())
    return evaluator.report(call.position, name + " takes its text first, then the values that $0, "
                                                  "$1, ... stand for in it");
  int64_t outputs = 0;
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    const Position where = call.keyword_positions[i];
    if (!ptx || call.keywords[i].first != "outputs")
      return evaluator.report(where, name + " takes its arguments by position" +
                                         (ptx ? ", and outputs=" : ""));
    const auto count = evaluator.to_int64(call.keywords[i].second, where, "outputs");
    if (!count)
      return Poison{};
    const auto given = static_cast<int64_t>(call.positional.size()) - 1;
    if (*count < 0 || *count > given)
      return evaluator.report(
          where,
          fmt::format("outputs={}: the first so many of the values are written, and {} {} given",
                      *count, given, given == 1 ? "is" : "are"));
    outputs = *count;
  }
  const std::string& text = *call.positional[0].text();
  std::vector<Expr> values;
  for (size_t i = 1; i < call.positional.size(); ++i) {
    Expr value = evaluator.to_expr(call.positional[i], call.positions[i]);
    if (!value)
      return Poison{};
    if (static_cast<int64_t>(i) <= outputs) {
      const auto* place = value.as<BufferLoad>();
      if (place == nullptr || !place->buffer->scope.starts_with("local"))
        return evaluator.report(call.positions[i],
                                "what PTX writes is a thread's own variable, as T.alloc_var or "
                                "T.alloc_local makes it; copy it where it belongs afterwards");
      if (value->dtype.bits != 32 && value->dtype.bits != 64)
        return evaluator.report(call.positions[i], "PTX writes values of 32 or 64 bits here, not " +
                                                       temper::to_string(value->dtype));
    }
    values.push_back(std::move(value));
  }
  if (ptx)
    if (const auto destination = tir::unstated_destination(text, outputs);
        destination && destination->value < values.size())
      return evaluator.report(
          call.positions[0],
          fmt::format(
              "{} writes ${}, which is given as a value to read: say so, as {}(\"{}\", ..., "
              "outputs={})",
              destination->instruction, destination->value, name, text, destination->value + 1));
  // A placeholder without a value would reach the other compiler.
  for (size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i] == '$' && text[i + 1] >= '0' && text[i + 1] <= '9' &&
        static_cast<size_t>(text[i + 1] - '0') >= values.size())
      return evaluator.report(call.positions[0],
                              "the text mentions " + text.substr(i, 2) + ", but only " +
                                  std::to_string(values.size()) +
                                  (values.size() == 1 ? " value follows it" : " values follow it"));
  std::vector<Expr> operands{make_string(text)};
  if (ptx)
    operands.push_back(make_int(DataType::int32(), outputs));
  operands.insert(operands.end(), values.begin(), values.end());
  builder->add(tir::make_evaluate(call_op(call.callee->data, std::move(operands))), call.position);
  return None{};
}

namespace {

bool is_identifier(const std::string& text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

/// What a macro stands for; nothing, reported, for what has no text in C++.
std::optional<std::string> macro_text(Evaluator& evaluator, const Value& value, Position where,
                                      const std::string& name) {
  if (const auto* flag = value.as<bool>())
    return *flag ? "1" : "0";
  if (const auto* number = value.as<Int>())
    return decimal(*number);
  if (value.is<double>())
    return repr(value);
  if (value.text() != nullptr && value.text()->find('\n') == std::string::npos)
    return *value.text();
  if (const auto* expr = value.as<Expr>())
    if (const auto constant = as_int(*expr))
      return std::to_string(*constant);
  evaluator.report(where, "the macro " + name + " is " + describe(value) +
                              "; it is a number, True or False, or a line of text");
  return std::nullopt;
}

/// "#define BM 64" for each; nothing when one is wrong, which is reported.
std::optional<std::string> macro_lines(Evaluator& evaluator, const Value& value, Position where) {
  std::string lines;
  if (value.is<None>())
    return lines;
  const auto* dict = value.as<Dict>();
  if (dict == nullptr) {
    evaluator.report(where,
                     "define= is a dict of macros as dict(BM=BM, BN=BN), not " + describe(value));
    return std::nullopt;
  }
  for (const auto& [key, item] : *dict->items) {
    if (key.text() == nullptr || !is_identifier(*key.text())) {
      evaluator.report(where, "a macro has a name as BM, not " + repr(key));
      return std::nullopt;
    }
    const auto text = macro_text(evaluator, item, where, *key.text());
    if (!text)
      return std::nullopt;
    lines += "#define " + *key.text() + " " + *text + "\n";
  }
  return lines;
}

} // namespace

Value source_kernel(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"name", "writes", "shared", "define", "source"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto name = evaluator.to_string(args[0], args.where(0), "the name of a kernel");
  if (!name)
    return Poison{};
  if (!is_identifier(*name))
    return evaluator.report(args.where(0), "'" + *name + "' is no name of a kernel in CUDA C++");
  if (builder->kernel_annotations()->get(tir::kOpenThreads))
    return evaluator.report(call.position,
                            "a kernel that is CUDA C++ says how many threads a block has: "
                            "T.Kernel(8, 8, threads=(16, 16))");
  const DataType i32 = DataType::int32();
  std::vector<Stmt> statements;
  const std::vector<Value> one{args[1]};
  for (const Value& item : args[1].sequence() != nullptr ? *args[1].sequence() : one) {
    const auto* buffer = item.as<Buffer>();
    if (buffer == nullptr)
      return evaluator.report(args.where(1), "writes= names the arguments that the kernel writes, "
                                             "as writes=C or writes=[C, D], not " +
                                                 describe(item));
    const std::vector<Expr> first((*buffer)->rank(), make_int(i32, 0));
    statements.push_back(
        tir::make_evaluate(call_op(tir::kSourceWrites, {make_load(*buffer, first)})));
  }
  if (statements.empty())
    return evaluator.report(args.where(1), "a kernel that writes nothing has no result: name what "
                                           "it writes, as writes=C");
  int64_t shared = 0;
  if (args.has(2) && !args[2].is<None>()) {
    const auto bytes = evaluator.to_int64(args[2], args.where(2), "the bytes of shared memory");
    if (!bytes)
      return Poison{};
    if (*bytes < 0 || *bytes > INT32_MAX)
      return evaluator.report(args.where(2), "a block has 0 or more bytes of dynamic shared "
                                             "memory, not " +
                                                 std::to_string(*bytes));
    shared = *bytes;
  }
  std::string text;
  if (args.has(3)) {
    const auto lines = macro_lines(evaluator, args[3], args.where(3));
    if (!lines)
      return Poison{};
    text = *lines;
  }
  if (args.has(4) && !args[4].is<None>()) {
    const auto source = evaluator.to_string(args[4], args.where(4), "CUDA source");
    if (!source)
      return Poison{};
    text += *source;
  } else {
    const Value* source = evaluator.globals().find_here(kCudaSource);
    if (source == nullptr || source->text() == nullptr)
      return evaluator.report(call.position,
                              "there is no CUDA source: this call stands in the first comment of a "
                              ".cu file, which begins with '/* temper', or has source=");
    text += *source->text();
  }
  const std::optional<std::string> known = builder->text_attr(tir::kSourceText);
  if (known && *known != text)
    return evaluator.report(call.position, "the kernels of a function share one source and its "
                                           "macros; give all of them the same define=");
  builder->set_attrs(Annotations().with(tir::kSourceText, make_string(text)));
  statements.push_back(tir::make_evaluate(
      call_op(tir::kCallSourceKernel, {make_string(*name), make_int(i32, shared)})));
  for (Stmt& statement : statements)
    builder->add(std::move(statement), call.position);
  return None{};
}

} // namespace temper::script
