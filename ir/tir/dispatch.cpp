#include "ir/tir/dispatch.h"

#include "ir/arith/simplify.h"
#include "ir/pass/rewrite.h"
#include "ir/support/text.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/cuda/variants.h"
#include "ir/tir/hoist_layouts.h"

#include <algorithm>

namespace temper::tir {
namespace {

std::vector<TileVariant>& registry() {
  static std::vector<TileVariant> variants = [] {
    std::vector<TileVariant> all = cpu::variants();
    for (TileVariant& variant : cuda::variants())
      all.push_back(std::move(variant));
    return all;
  }();
  return variants;
}

Error not_fitting(const TileVariant& variant, const Error& why) {
  return Error(ErrorCode::kUnsupported, "the variant '" + variant.name + "' of T." + variant.op +
                                            " does not fit: " + why.message);
}

std::string place_of(const TileCall& call) {
  return call.span.line == 0 ? std::string() : "line " + std::to_string(call.span.line) + ": ";
}

/// Every tile call in order, with what is known of the loops around it.
Result<void> each_call(const PrimFunc& function,
                       FunctionRef<Result<void>(const TileCall&, Analyzer&)> visit) {
  TEMPER_TRY(rest,
             expand_tiles(function, [&](const TileCall& call, Analyzer& math) -> Result<Stmt> {
               TEMPER_TRY_VOID(visit(call, math));
               return make_seq({});
             }));
  (void)rest;
  return {};
}

} // namespace

Result<void> register_tile_variant(TileVariant variant) {
  for (const TileVariant& known : registry())
    if (known.op == variant.op && known.target == variant.target && known.scope == variant.scope &&
        known.name == variant.name)
      return Error(ErrorCode::kInvalidArgument, "T." + variant.op + " has a variant '" +
                                                    variant.name +
                                                    "' already; choose another name");
  registry().insert(registry().begin(), std::move(variant));
  return {};
}

std::vector<const TileVariant*> tile_variants(std::string_view op, TargetKind target,
                                              std::string_view scope) {
  std::vector<const TileVariant*> result;
  for (const TileVariant& variant : registry())
    if ((variant.op == op || variant.op == "*") && variant.target == target &&
        variant.scope == scope)
      result.push_back(&variant);
  return result;
}

std::vector<const TileVariant*> all_tile_variants() {
  std::vector<const TileVariant*> result;
  for (const TileVariant& variant : registry())
    result.push_back(&variant);
  std::stable_sort(result.begin(), result.end(),
                   [](const TileVariant* a, const TileVariant* b) { return a->op < b->op; });
  return result;
}

Result<const TileVariant*> choose_tile_variant(const TileCall& call, TileContext& context,
                                               std::string_view scope) {
  const auto variants = tile_variants(call.op, context.target(), scope);
  const std::string place = context.gpu != nullptr ? "a GPU" : "a CPU";
  std::vector<std::string> names;
  for (const TileVariant* variant : variants)
    names.push_back(variant->name);
  if (const auto wanted = call.options.get_string(kVariant)) {
    for (const TileVariant* variant : variants) {
      if (variant->name != *wanted)
        continue;
      if (variant->fits != nullptr)
        if (const auto fits = variant->fits(call, context); !fits)
          return not_fitting(*variant, fits.error());
      return variant;
    }
    const std::string nearest = nearest_name(*wanted, names);
    return Error(ErrorCode::kInvalidArgument,
                 "T." + call.op + " has no variant '" + *wanted + "' on " + place + "; it has " +
                     join(names, ", ") +
                     (nearest.empty() ? "" : " (did you mean '" + nearest + "'?)"));
  }
  std::string reasons;
  for (const TileVariant* variant : variants) {
    const auto fits = variant->fits != nullptr ? variant->fits(call, context) : Result<void>();
    if (fits)
      return variant;
    reasons += (reasons.empty() ? "" : "; ") + variant->name + ": " + fits.error().message;
  }
  return Error(ErrorCode::kUnsupported, "T." + call.op + " has no variant for this call on " +
                                            place + (reasons.empty() ? "" : " (" + reasons + ")"));
}

Result<int64_t> tile_knob(const TileCall& call, const TileKnob& knob) {
  const Expr given = call.options.get(knob.name);
  if (!given)
    return knob.default_value;
  const auto value = as_int(given);
  if (!value || std::find(knob.choices.begin(), knob.choices.end(), *value) == knob.choices.end()) {
    std::vector<std::string> choices;
    for (const int64_t choice : knob.choices)
      choices.push_back(std::to_string(choice));
    return Error(ErrorCode::kInvalidArgument, "T." + call.op + ": " + knob.name + " is one of " +
                                                  join(choices, ", ") + " here" +
                                                  (value ? ", not " + std::to_string(*value) : ""));
  }
  return *value;
}

/// A CPU carries out pipelines as they are written: once operators are loops, an order of theirs
/// means nothing.
Stmt without_order(const Stmt& stmt) {
  const Stmt inner = rebuild(
      stmt, [](const Stmt& child) { return without_order(child); },
      [](const Expr& expr) { return expr; });
  const auto* loop = inner.as<For>();
  if (loop == nullptr || loop->kind != ForKind::kPipelined)
    return inner;
  return change_loop(*loop, [](For& node) {
    for (const char* key : {"order", "stage", "sync", "group"})
      node.annotations = node.annotations.without(key);
  });
}

Result<PrimFunc> dispatch_tiles(const PrimFunc& function, const LowerOptions& options) {
  return expand_tiles(with_body(function, without_order(function->body)),
                      [&](const TileCall& call, Analyzer& math) -> Result<Stmt> {
                        const auto lower = [&]() -> Result<Stmt> {
                          TEMPER_TRY_VOID(check_tile_call(call));
                          TileContext context{options, math};
                          TEMPER_TRY(variant, choose_tile_variant(call, context));
                          return variant->lower(call, context);
                        };
                        Result<Stmt> code = lower();
                        if (!code)
                          return Error(code.error().code, place_of(call) + code.error().message);
                        return code;
                      });
}

std::span<const TileStep> tile_steps() {
  using F = const PrimFunc&;
  using O = const LowerOptions&;
  static constexpr TileStep kSteps[] = {
      {"lower_threads", [](F f, O) { return lower_threads(f); }},
      {"bind_scalars", [](F f, O) -> Result<PrimFunc> { return bind_scalars(f); }},
      {"forward_copies", [](F f, O o) -> Result<PrimFunc> { return forward_copies(f, o); }},
      {"dispatch_tiles", dispatch_tiles},
      {"hoist_layouts", [](F f, O) -> Result<PrimFunc> { return hoist_layouts(f); }},
      // After dispatch: variants make accesses of their own.
      {"lower_atomics",
       [](F f, O o) -> Result<PrimFunc> { return lower_atomics(f, o.serial || o.plain); }},
      {"guard_accesses", [](F f, O) -> Result<PrimFunc> { return guard_accesses(f); }},
      {"lower_kernels", [](F f, O) -> Result<PrimFunc> { return lower_kernels(f); }},
      {"share_layouts",
       [](F f, O o) -> Result<PrimFunc> { return share_layouts(f, o.serial || o.plain); }},
      {"fuse_rows", [](F f, O) -> Result<PrimFunc> { return fuse_rows(f); }},
  };
  return kSteps;
}

Result<PrimFunc> lower_tiles(const PrimFunc& function, const LowerOptions& options) {
  PrimFunc result = function;
  for (const TileStep& step : tile_steps()) {
    TEMPER_TRY(next, step.run(result, options));
    result = next;
  }
  return result;
}

std::vector<OpenCall::Choice> open_choices(const TileCall& call, TileContext& context) {
  std::vector<OpenCall::Choice> choices;
  const auto wanted = call.options.get_string(kVariant);
  for (const TileVariant* variant : tile_variants(call.op, context.target())) {
    if (wanted && *wanted != variant->name)
      continue;
    const auto fits =
        !wanted && variant->fits_by_name != nullptr ? variant->fits_by_name : variant->fits;
    if (fits != nullptr && !fits(call, context))
      continue;
    OpenCall::Choice choice{variant->name, {}};
    if (variant->knobs != nullptr)
      for (TileKnob& knob : variant->knobs(call, context))
        if (!call.options.get(knob.name) && knob.choices.size() > 1)
          choice.knobs.push_back(std::move(knob));
    choices.push_back(std::move(choice));
    if (variant->best)
      break;
  }
  return choices;
}

Result<std::vector<OpenCall>> open_calls(const PrimFunc& function, const LowerOptions& options) {
  TEMPER_TRY(threads, lower_threads(function));
  std::vector<OpenCall> result;
  OpenLabels labels;
  TEMPER_TRY_VOID(each_call(threads, [&](const TileCall& call, Analyzer& math) -> Result<void> {
    TileContext context{options, math};
    OpenCall open{labels.next(Stmt(&call)), open_choices(call, context)};
    if (open.is_open())
      result.push_back(std::move(open));
    return {};
  }));
  return result;
}

std::string OpenLabels::next(const Stmt& stmt) {
  std::string name;
  if (const auto* call = stmt.as<TileCall>())
    name = call->op;
  else if (const auto* loop = stmt.as<For>(); loop != nullptr && loop->kind == ForKind::kPipelined)
    name = "pipeline";
  else if (stmt.as<KernelLaunch>() != nullptr)
    name = "kernel";
  else
    return name;
  const int number = ++count_[name];
  return number > 1 ? name + "_" + std::to_string(number) : name;
}

PrimFunc annotate_open(const PrimFunc& function, const std::string& label,
                       const Annotations& annotations) {
  OpenLabels labels;
  bool found = false;
  const auto with = [&](Annotations known) {
    for (const Annotation& entry : annotations.entries)
      known = known.with(entry.key, entry.value);
    return known;
  };
  const auto rewrite = [&](auto&& self, const Stmt& stmt) -> Stmt {
    const bool here = labels.next(stmt) == label && !found;
    const Stmt below = stmt.as<TileCall>() != nullptr
                           ? stmt
                           : rebuild(
                                 stmt, [&](const Stmt& child) { return self(self, child); },
                                 [](const Expr& expr) { return expr; });
    if (!here)
      return below;
    found = true;
    if (const auto* call = below.as<TileCall>())
      return copy_node(*call, [&](TileCall& node) { node.options = with(call->options); });
    if (const auto* loop = below.as<For>())
      return copy_node(*loop, [&](For& node) { node.annotations = with(loop->annotations); });
    const auto* kernel = below.as<KernelLaunch>();
    return copy_node(*kernel, [&](KernelLaunch& node) {
      node.annotations = with(kernel->annotations);
      if (const Expr threads = annotations.get(kThreadCount)) {
        node.threads = {tile_cast(kernel->threads[0]->dtype, threads)};
        node.annotations = node.annotations.without(kThreadCount).without(kOpenThreads);
      }
    });
  };
  const Stmt body = rewrite(rewrite, function->body);
  return found ? with_body(function, body) : nullptr;
}

std::string dispatch_table(const PrimFunc& function, const LowerOptions& options) {
  std::string text;
  const auto row = [&](const std::string& op, const std::string& target, const std::string& scope,
                       const std::string& name, const std::string& rest) {
    const auto padded = [](std::string word, size_t width) {
      word.resize(std::max(word.size() + 1, width), ' ');
      return word;
    };
    text += padded(op, 15) + padded(target, 8) + padded(scope, 8) + padded(name, 16) + rest + "\n";
  };
  row("operator", "target", "scope", "variant", "");
  for (const TileVariant* variant : all_tile_variants())
    row(variant->op == "*" ? "(any)" : variant->op,
        variant->target == TargetKind::kCpu ? "cpu" : "cuda", variant->scope, variant->name,
        variant->doc);
  if (!function)
    return text;
  text += "\n";
  const auto threads = lower_threads(function);
  if (!threads)
    return text + threads.error().message + "\n";
  (void)each_call(*threads, [&](const TileCall& call, Analyzer& math) -> Result<void> {
    TileContext context{options, math};
    std::string operands;
    for (const BufferRegion& region : call.regions)
      operands += (operands.empty() ? "" : ", ") + tile_text(region);
    text += place_of(call) + "T." + call.op + "(" + operands + ")\n";
    text += dispatch_lines(call, context);
    return {};
  });
  return text;
}

std::string dispatch_lines(const TileCall& call, TileContext& context) {
  std::string text;
  const auto chosen = choose_tile_variant(call, context);
  if (!chosen)
    text += "  " + chosen.error().message + "\n";
  for (const TileVariant* variant : tile_variants(call.op, context.target())) {
    const auto fits = variant->fits != nullptr ? variant->fits(call, context) : Result<void>();
    std::string line = "  " + variant->name;
    if (!fits) {
      line += " refused: " + fits.error().message;
    } else {
      line += chosen && *chosen == variant ? " (taken)" : " fits";
      if (variant->knobs != nullptr)
        for (const TileKnob& knob : variant->knobs(call, context)) {
          std::vector<std::string> choices;
          for (const int64_t choice : knob.choices)
            choices.push_back(std::to_string(choice));
          line += "; " + knob.name + " " + join(choices, "|") + " (" +
                  std::to_string(tile_knob(call, knob).value_or(knob.default_value)) + ")";
        }
    }
    text += line + "\n";
  }
  return text;
}

} // namespace temper::tir
