// One walk over a function. Definitions are kept in a table with a flag "in scope"; a definition
// that is met again, in scope or not, is an error.
//
// Whether a block's regions cover an access is first tried as a proof (boxes of indices relaxed
// over the loops inside the block). Where the proof fails, concrete iterations are tried: only one
// that really lies outside is an error, so that regions the prover cannot follow are not refused.
#include "ir/verify.h"

#include "ir/detail/verifier.h"
#include "ir/op.h"
#include "ir/support/random.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::ir {
namespace verifier {
namespace {

std::unordered_map<Kind, StmtVerifier>& layers() {
  static std::unordered_map<Kind, StmtVerifier> table;
  return table;
}

std::vector<FunctionVerifier>& function_checks() {
  static std::vector<FunctionVerifier> list;
  return list;
}

std::string type_text(const Expr& expr) { return to_string(expr->dtype); }

/// Integer value of a scalar expression under known variables; nothing when it reads memory or a
/// variable that is not known.
using Values = std::unordered_map<const VarNode*, int64_t>;

std::optional<int64_t> value_of(const Expr& expr, const Values& values) {
  const auto of = [&](const Expr& e) { return value_of(e, values); };
  const auto binary = [&](const auto& e, auto f) -> std::optional<int64_t> {
    const auto a = of(e.a);
    const auto b = of(e.b);
    if (!a || !b)
      return std::nullopt;
    return f(*a, *b);
  };
  const auto divide = [&](const auto& e, auto f) -> std::optional<int64_t> {
    const auto b = of(e.b);
    if (!b || *b == 0 || *b == -1)
      return std::nullopt;
    return binary(e, f);
  };
  using I = int64_t;
  if (!expr->dtype.is_scalar() || expr->dtype.is_floating() || expr->dtype.is_handle())
    return std::nullopt;
  return visit(
      expr,
      [&](const VarNode& e) -> std::optional<I> {
        const auto found = values.find(&e);
        return found == values.end() ? std::nullopt : std::optional(found->second);
      },
      [&](const IntImm& e) -> std::optional<I> { return e.value; },
      [&](const Add& e) { return binary(e, [](I a, I b) { return a + b; }); },
      [&](const Sub& e) { return binary(e, [](I a, I b) { return a - b; }); },
      [&](const Mul& e) { return binary(e, [](I a, I b) { return a * b; }); },
      [&](const Div& e) { return divide(e, [](I a, I b) { return a / b; }); },
      [&](const Mod& e) { return divide(e, [](I a, I b) { return a % b; }); },
      [&](const FloorDiv& e) { return divide(e, [](I a, I b) { return floor_div(a, b); }); },
      [&](const FloorMod& e) { return divide(e, [](I a, I b) { return floor_mod(a, b); }); },
      [&](const Min& e) { return binary(e, [](I a, I b) { return std::min(a, b); }); },
      [&](const Max& e) { return binary(e, [](I a, I b) { return std::max(a, b); }); },
      [&](const EQ& e) { return binary(e, [](I a, I b) -> I { return a == b; }); },
      [&](const NE& e) { return binary(e, [](I a, I b) -> I { return a != b; }); },
      [&](const LT& e) { return binary(e, [](I a, I b) -> I { return a < b; }); },
      [&](const LE& e) { return binary(e, [](I a, I b) -> I { return a <= b; }); },
      [&](const GT& e) { return binary(e, [](I a, I b) -> I { return a > b; }); },
      [&](const GE& e) { return binary(e, [](I a, I b) -> I { return a >= b; }); },
      [&](const And& e) { return binary(e, [](I a, I b) { return a & b; }); },
      [&](const Or& e) { return binary(e, [](I a, I b) { return a | b; }); },
      [&](const Not& e) -> std::optional<I> {
        const auto a = of(e.a);
        return a ? std::optional<I>(*a == 0) : a;
      },
      [&](const Select& e) -> std::optional<I> {
        const auto c = of(e.condition);
        return c ? of(*c != 0 ? e.true_value : e.false_value) : c;
      },
      [&](const Cast& e) -> std::optional<I> {
        const auto a = of(e.value);
        return a ? std::optional(wrap_integer(expr->dtype, *a)) : a;
      },
      [&](const Call& e) -> std::optional<I> {
        if (e.op == "likely")
          return of(e.args[0]);
        if (e.op != "if_then_else")
          return std::nullopt;
        const auto c = of(e.args[0]);
        return c ? of(e.args[*c != 0 ? 1 : 2]) : c;
      },
      [](const ExprNode&) -> std::optional<I> { return std::nullopt; });
}

} // namespace

void register_verifier(Kind kind, StmtVerifier function) { layers()[kind] = function; }
void register_function_verifier(FunctionVerifier function) {
  function_checks().push_back(function);
}

// --- Scopes --------------------------------------------------------------------------------------

Verifier::Scope::Scope(Verifier& verifier, std::string path)
    : verifier_(verifier), defined_(verifier.defined_.size()), guards_(verifier.guards_.size()),
      inner_(verifier.inner_.size()), locals_(verifier.locals_.size()), has_path_(!path.empty()),
      facts_(verifier.analyzer_) {
  if (has_path_)
    verifier.path_.push_back(std::move(path));
}

Verifier::Scope::~Scope() {
  for (size_t i = defined_; i < verifier_.defined_.size(); ++i)
    verifier_.known_[verifier_.defined_[i]].in_scope = false;
  verifier_.defined_.resize(defined_);
  verifier_.guards_.resize(guards_);
  verifier_.inner_.erase(verifier_.inner_.begin() + static_cast<std::ptrdiff_t>(inner_),
                         verifier_.inner_.end());
  verifier_.locals_.resize(locals_);
  if (has_path_)
    verifier_.path_.pop_back();
}

void Verifier::guard(const Expr& condition) {
  guards_.push_back(condition);
  if (condition)
    analyzer_.assume(condition);
}

void Verifier::inner(const Var& var, const Range& range) {
  inner_.push_back({var, range});
  if (is_index_type(var->dtype))
    analyzer_.bind(var, range);
}

void Verifier::axis(const Var& var, const Range& domain, const Expr& value) {
  inner_.push_back({var, {value, make_int(var->dtype, 1)}});
  if (is_index_type(var->dtype))
    analyzer_.bind(var, domain);
}

bool Verifier::fail(const NodeRef& node, std::string sentence) {
  if (failed_)
    return false;
  failed_ = true;
  error_ = Error{ErrorCode::kInvalidArgument, path() + ": " + std::move(sentence)};
  if (node && node->span.line != 0) {
    const std::string place =
        "line " + std::to_string(node->span.line) + ", column " + std::to_string(node->span.column);
    if (with_accesses_) // of a program as it is written
      error_.message = place + ": " + error_.message;
    else
      error_.notes.push_back("at " + place);
  }
  if (options_.render)
    error_.notes.push_back(options_.render(function_, node));
  return false;
}

std::string Verifier::path() const {
  std::string text = function_->name;
  for (const std::string& part : path_)
    text += ", " + part;
  return text;
}

// --- Definitions ---------------------------------------------------------------------------------

bool Verifier::define(const Var& var, Definition definition) {
  if (!var)
    return fail(nullptr, "a definition has no variable");
  const auto [place, is_new] = known_.try_emplace(var.get());
  if (!is_new)
    return fail(var, "variable '" + var->name + "' is defined twice");
  place->second = {true, definition, block_depth};
  defined_.push_back(var.get());
  return true;
}

bool Verifier::define(const Buffer& buffer) {
  if (!buffer)
    return fail(nullptr, "a definition has no buffer");
  const auto [place, is_new] = known_.try_emplace(buffer.get());
  if (!is_new)
    return fail(buffer, "buffer '" + buffer->name + "' is defined twice");
  place->second = {true, Definition::kValue, block_depth};
  defined_.push_back(buffer.get());
  return true;
}

bool Verifier::use(const Buffer& buffer, const NodeRef& where) {
  if (!buffer)
    return fail(where, "an access has no buffer");
  const auto found = known_.find(buffer.get());
  if (found == known_.end() || !found->second.in_scope)
    return fail(where, "buffer '" + buffer->name + "' is used, but not defined here");
  return true;
}

bool Verifier::buffer_parts(const Buffer& buffer) {
  const DataType dtype = buffer->dtype;
  if (dtype.is_handle() || dtype.bits == 0 || dtype.lanes == 0)
    return fail(buffer, "buffer '" + buffer->name + "' has no element type");
  for (const Expr& extent : buffer->shape) {
    if (!scalar_integer(extent, "an extent of a buffer's shape"))
      return false;
    if (const auto value = as_int(extent); value && *value < 0)
      return fail(buffer, "buffer '" + buffer->name + "' has the negative extent " +
                              std::to_string(*value));
  }
  if (!buffer->strides.empty() && buffer->strides.size() != buffer->shape.size())
    return fail(buffer, "buffer '" + buffer->name + "' has " +
                            std::to_string(buffer->shape.size()) + " dimensions and " +
                            std::to_string(buffer->strides.size()) + " strides");
  for (const Expr& stride : buffer->strides)
    if (!scalar_integer(stride, "a stride"))
      return false;
  if (buffer->elem_offset && !scalar_integer(buffer->elem_offset, "a buffer's offset"))
    return false;
  if (buffer->alignment <= 0)
    return fail(buffer, "buffer '" + buffer->name + "' has no positive alignment");
  return true;
}

// --- Expressions ---------------------------------------------------------------------------------

bool Verifier::typed(const Expr& value, DataType dtype, const char* what) {
  if (!value)
    return fail(nullptr, std::string(what) + " is missing");
  if (value->dtype != dtype)
    return fail(value,
                std::string(what) + " has type " + type_text(value) + ", not " + to_string(dtype));
  return expr(value);
}

bool Verifier::scalar_integer(const Expr& value, const char* what) {
  if (!value)
    return fail(nullptr, std::string(what) + " is missing");
  if (!value->dtype.is_integral() || !value->dtype.is_scalar())
    return fail(value,
                std::string(what) + " has type " + type_text(value) + ", not that of an integer");
  return expr(value);
}

bool Verifier::condition(const Expr& value) {
  return typed(value, DataType::boolean(), "a condition");
}

bool Verifier::binary_types(const Expr& value) {
  const Expr* a = nullptr;
  const Expr* b = nullptr;
  enum { kArithmetic, kInteger, kCompare, kLogic } group = kArithmetic;
  switch (static_cast<ExprKind>(value->kind())) {
#define TEMPER_CASE(name, its_group)                                                               \
  case ExprKind::k##name:                                                                          \
    a = &static_cast<const name&>(*value).a;                                                       \
    b = &static_cast<const name&>(*value).b;                                                       \
    group = its_group;                                                                             \
    break;
    TEMPER_CASE(Add, kArithmetic)
    TEMPER_CASE(Sub, kArithmetic)
    TEMPER_CASE(Mul, kArithmetic)
    TEMPER_CASE(Div, kArithmetic)
    TEMPER_CASE(Mod, kArithmetic)
    TEMPER_CASE(FloorDiv, kInteger)
    TEMPER_CASE(FloorMod, kInteger)
    TEMPER_CASE(Min, kArithmetic)
    TEMPER_CASE(Max, kArithmetic)
    TEMPER_CASE(EQ, kCompare)
    TEMPER_CASE(NE, kCompare)
    TEMPER_CASE(LT, kCompare)
    TEMPER_CASE(LE, kCompare)
    TEMPER_CASE(GT, kCompare)
    TEMPER_CASE(GE, kCompare)
    TEMPER_CASE(And, kLogic)
    TEMPER_CASE(Or, kLogic)
#undef TEMPER_CASE
  default:
    return true;
  }
  const char* name = value->info().name;
  if (!*a || !*b)
    return fail(value, std::string(name) + " has an operand missing");
  const DataType dtype = (*a)->dtype;
  if (dtype != (*b)->dtype)
    return fail(value, std::string("the operands of ") + name + " have types " + type_text(*a) +
                           " and " + type_text(*b));
  if (dtype.is_handle() || (group == kInteger && !dtype.is_integral()) ||
      (group == kLogic && !dtype.is_bool()))
    return fail(value, std::string(name) + " does not take operands of type " + to_string(dtype));
  const DataType result = group == kCompare ? DataType::boolean(dtype.lanes) : dtype;
  if (value->dtype != result)
    return fail(value, std::string(name) + " of " + to_string(dtype) + " has type " +
                           type_text(value) + ", not " + to_string(result));
  if (group != kLogic)
    return expr(*a) && expr(*b);
  // The right side is evaluated only when the left one leaves it open.
  if (!expr(*a))
    return false;
  Scope scope(*this, "");
  guard(dtype.is_scalar() ? (value.is<And>() ? *a : make_not(*a)) : nullptr);
  return expr(*b);
}

bool Verifier::call(const Call& node, const Expr& value) {
  const OpInfo* op = find_op(node.op);
  if (op == nullptr)
    return fail(value, "there is no operation T." + node.op);
  if (op->arity >= 0 && node.args.size() != static_cast<size_t>(op->arity))
    return fail(value, "T." + node.op + " takes " + std::to_string(op->arity) + " arguments, not " +
                           std::to_string(node.args.size()));
  for (const Expr& arg : node.args)
    if (!arg)
      return fail(value, "T." + node.op + " has an argument missing");
  if (node.op == "if_then_else") {
    if (!node.args[0]->dtype.is_bool())
      return fail(value, "the condition of T.if_then_else has type " + type_text(node.args[0]));
    if (node.args[1]->dtype != node.args[2]->dtype || node.dtype != node.args[1]->dtype)
      return fail(value, "the sides of T.if_then_else have types " + type_text(node.args[1]) +
                             " and " + type_text(node.args[2]));
    if (!expr(node.args[0]))
      return false;
    for (const bool holds : {true, false}) {
      Scope scope(*this, "");
      const bool is_scalar = node.args[0]->dtype.is_scalar();
      guard(!is_scalar ? nullptr : holds ? node.args[0] : make_not(node.args[0]));
      if (!expr(node.args[holds ? 1 : 2]))
        return false;
    }
    return true;
  }
  for (const Expr& arg : node.args) {
    const DataType dtype = arg->dtype;
    if ((op->floating_only && !dtype.is_floating()) || (op->integer_only && !dtype.is_integral()))
      return fail(value, "T." + node.op + " does not take an argument of type " + type_text(arg));
    if (op->result == OpResult::kSameAsArgument && dtype != node.args[0]->dtype)
      return fail(value, "the arguments of T." + node.op + " have types " +
                             type_text(node.args[0]) + " and " + type_text(arg));
  }
  if (op->result == OpResult::kSameAsArgument && node.dtype != node.args[0]->dtype)
    return fail(value, "T." + node.op + " of " + type_text(node.args[0]) + " has type " +
                           type_text(value));
  if (op->result == OpResult::kBool && node.dtype != DataType::boolean(node.args[0]->dtype.lanes))
    return fail(value, "T." + node.op + " has type " + type_text(value) + ", not bool");
  const bool named = node.op == "call_llvm_pure_intrin";
  if (named && (node.args.empty() || !node.args[0].is<StringImm>()))
    return fail(value, "T.call_llvm_pure_intrin needs LLVM's name of an instruction, as text");
  for (size_t i = named ? 1 : 0; i < node.args.size(); ++i) {
    const auto* address = node.args[i].as<BufferLoad>();
    if (address == nullptr || static_cast<int>(i) >= op->addresses) {
      // The shape of an instruction: T.ptx_mma(..., "m16n8k16").
      if (op->result == OpResult::kStatement && node.args[i].is<StringImm>())
        continue;
      if (!expr(node.args[i]))
        return false;
      continue;
    }
    // An address, not an access: it may lie outside. What is done there is not known here.
    proven_ = false;
    if (!use(address->buffer, node.args[i]))
      return false;
    for (const Expr& index : address->indices)
      if (!expr(index))
        return false;
  }
  return true;
}

bool Verifier::indices(const Buffer& buffer, const std::vector<Expr>& list, const NodeRef& where,
                       int* lanes) {
  if (!use(buffer, where))
    return false;
  if (list.size() != buffer->shape.size())
    return fail(where, "buffer '" + buffer->name + "' has " + std::to_string(buffer->shape.size()) +
                           " dimensions, the access has " + std::to_string(list.size()) +
                           " indices");
  *lanes = 1;
  for (size_t d = 0; d < list.size(); ++d) {
    const Expr& index = list[d];
    if (!index)
      return fail(where, "an index is missing");
    if (!index->dtype.is_integral())
      return fail(where, "an index of '" + buffer->name + "' has type " + type_text(index));
    if (!index->dtype.is_scalar()) {
      if (*lanes != 1 && *lanes != index->dtype.lanes)
        return fail(where, "the indices of '" + buffer->name + "' have different numbers of lanes");
      *lanes = index->dtype.lanes;
    }
    if (!expr(index))
      return false;
    // Only what certainly runs can certainly be outside.
    const auto extent = as_int(buffer->shape[d]);
    if (!guards_.empty() || !extent)
      continue;
    const IntInterval interval =
        index->dtype.is_scalar() ? analyzer_.bounds(index) : bounds_of(index, analyzer_.vars());
    if (interval.low >= *extent || interval.high < 0)
      return fail(where, "index " + std::to_string(d) + " of '" + buffer->name + "' is " +
                             (interval.is_point() ? std::to_string(interval.low)
                              : interval.high < 0 ? std::to_string(interval.high) + " or less"
                                                  : std::to_string(interval.low) + " or more") +
                             ", outside its extent " + std::to_string(*extent));
  }
  return true;
}

bool Verifier::load(const BufferLoad& node, const Expr& value) {
  int lanes = 1;
  Scope scope(*this, "");
  if (node.predicate) {
    if (!node.predicate->dtype.is_bool())
      return fail(value, "the predicate of a load has type " + type_text(node.predicate));
    if (!expr(node.predicate))
      return false;
    guard(nullptr);
  }
  if (!indices(node.buffer, node.indices, value, &lanes))
    return false;
  if (node.predicate && node.predicate->dtype.lanes != lanes)
    return fail(value, "the predicate of a load of " + std::to_string(lanes) + " lanes has " +
                           std::to_string(node.predicate->dtype.lanes));
  const DataType element = node.buffer->dtype;
  if (node.dtype != element.with_lanes(element.lanes * lanes))
    return fail(value, "a load from '" + node.buffer->name + "' of " + to_string(element) +
                           " has type " + type_text(value));
  const std::vector<Range> touched = region_of_indices(node.indices, analyzer_);
  // What a predicate leaves out lane by lane is not followed.
  return inside(node.buffer, touched, value) && access(node.buffer, touched, false, value);
}

bool Verifier::expr(const Expr& value) {
  if (failed_)
    return false;
  if (!value)
    return fail(nullptr, "an expression is missing");
  const DataType dtype = value->dtype;
  return visit(
      value,
      [&](const VarNode& e) {
        const auto found = known_.find(&e);
        if (found == known_.end())
          return fail(value, "variable '" + e.name + "' is used, but not defined");
        if (!found->second.in_scope)
          return fail(value, "variable '" + e.name + "' is used outside of its scope");
        if (found->second.definition == Definition::kLoop &&
            found->second.block_depth < block_depth)
          return fail(value, "variable '" + e.name +
                                 "' is a loop outside the block; give the block an axis for it");
        return true;
      },
      [&](const IntImm& e) {
        if ((!dtype.is_integral() && !dtype.is_bool()) || !dtype.is_scalar() ||
            wrap_integer(dtype, e.value) != e.value)
          return fail(value, "the number " + std::to_string(e.value) + " does not fit its type " +
                                 to_string(dtype));
        return true;
      },
      [&](const FloatImm&) {
        return dtype.is_floating() && dtype.is_scalar()
                   ? true
                   : fail(value, "a real number has type " + to_string(dtype));
      },
      [&](const StringImm&) { return fail(value, "text stands where a value must be"); },
      [&](const ListImm&) { return fail(value, "a list stands where a value must be"); },
      [&](const Cast& e) {
        if (!e.value || e.value->dtype.lanes != dtype.lanes || e.value->dtype.is_handle() ||
            dtype.is_handle())
          return fail(value, "a cast does not fit what it casts to " + to_string(dtype));
        return expr(e.value);
      },
      [&](const Not& e) {
        if (!e.a || !e.a->dtype.is_bool() || e.a->dtype != dtype)
          return fail(value, "not takes and gives bool");
        return expr(e.a);
      },
      [&](const Select& e) {
        if (!e.condition || !e.true_value || !e.false_value)
          return fail(value, "a select has an operand missing");
        if (!e.condition->dtype.is_bool() ||
            (e.condition->dtype.lanes != 1 && e.condition->dtype.lanes != dtype.lanes))
          return fail(value, "the condition of a select has type " + type_text(e.condition));
        if (e.true_value->dtype != e.false_value->dtype || dtype != e.true_value->dtype)
          return fail(value, "the sides of a select have types " + type_text(e.true_value) +
                                 " and " + type_text(e.false_value));
        return expr(e.condition) && expr(e.true_value) && expr(e.false_value);
      },
      [&](const BufferLoad& e) { return load(e, value); },
      [&](const Ramp& e) {
        if (!e.base || !e.stride || !e.base->dtype.is_integral() || !e.base->dtype.is_scalar() ||
            e.stride->dtype != e.base->dtype || dtype.lanes < 2 ||
            dtype != e.base->dtype.with_lanes(dtype.lanes))
          return fail(value, "a ramp takes an integer base and stride of one type and has two or "
                             "more lanes");
        return expr(e.base) && expr(e.stride);
      },
      [&](const Broadcast& e) {
        if (!e.value || !e.value->dtype.is_scalar() || dtype.lanes < 2 ||
            dtype != e.value->dtype.with_lanes(dtype.lanes))
          return fail(value, "a broadcast takes a scalar and has two or more lanes");
        return expr(e.value);
      },
      [&](const Shuffle& e) {
        int lanes = 0;
        for (const Expr& vector : e.vectors) {
          if (!vector || vector->dtype.element() != dtype.element())
            return fail(value, "the vectors of a shuffle have different types");
          lanes += vector->dtype.lanes;
          if (!expr(vector))
            return false;
        }
        for (const Expr& index : e.indices) {
          const auto pick = index ? as_int(index) : std::nullopt;
          if (!pick || *pick < 0 || *pick >= lanes)
            return fail(value, "a shuffle picks a lane that is not there");
        }
        return e.indices.size() == dtype.lanes
                   ? true
                   : fail(value, "a shuffle has type " + to_string(dtype) + " and picks " +
                                     std::to_string(e.indices.size()) + " lanes");
      },
      [&](const Let& e) {
        if (!e.var || !e.value || !e.body || e.var->dtype != e.value->dtype ||
            dtype != e.body->dtype)
          return fail(value, "a let's variable and value, or its body and result, differ in type");
        if (!expr(e.value))
          return false;
        Scope scope(*this, "");
        // A let may be shared like any expression: the second time its variable is known already.
        if (const auto found = known_.find(e.var.get());
            found != known_.end() && !found->second.in_scope) {
          found->second.in_scope = true;
          defined_.push_back(e.var.get());
        } else if (!define(e.var, Definition::kValue)) {
          return false;
        }
        if (is_index_type(e.var->dtype))
          inner(e.var, {e.value, make_int(e.var->dtype, 1)});
        return expr(e.body);
      },
      [&](const Call& e) { return call(e, value); },
      [&](const ExprNode&) { return binary_types(value); });
}

bool Verifier::annotations(const Annotations& list, const char* where) {
  for (size_t i = 0; i < list.entries.size(); ++i) {
    if (!list.entries[i].value)
      return fail(nullptr, std::string(where) + " has an annotation '" + list.entries[i].key +
                               "' without a value");
    if (i > 0 && list.entries[i - 1].key >= list.entries[i].key)
      return fail(nullptr, std::string("the annotations of ") + where +
                               " are not sorted by their keys, or one occurs twice");
  }
  return true;
}

// --- Regions -------------------------------------------------------------------------------------

bool Verifier::region(const BufferRegion& node) {
  if (!use(node.buffer, node.buffer))
    return false;
  if (node.region.size() != node.buffer->shape.size())
    return fail(node.buffer, "a region of '" + node.buffer->name + "' has " +
                                 std::to_string(node.region.size()) + " dimensions, the buffer " +
                                 std::to_string(node.buffer->shape.size()));
  for (const Range& range : node.region)
    if (!scalar_integer(range.min, "the start of a region") ||
        !scalar_integer(range.extent, "the extent of a region"))
      return false;
  return true;
}

bool Verifier::access(const Buffer& buffer, const std::vector<Range>& touched, bool is_write,
                      const NodeRef& where) {
  if (scopes.empty() || !scopes.back().declares)
    return true;
  const AccessScope& scope = scopes.back();
  for (size_t i = scope.first_local; i < locals_.size(); ++i)
    if (locals_[i] == buffer.get())
      return true;
  std::vector<const BufferRegion*> declared;
  const auto collect = [&](const std::vector<BufferRegion>& regions) {
    for (const BufferRegion& region : regions)
      if (region.buffer == buffer && region.region.size() == touched.size())
        declared.push_back(&region);
  };
  collect(is_write ? *scope.writes : *scope.reads);
  if (!is_write && scope.reads_own_writes)
    collect(*scope.writes);
  const std::string what =
      "block '" + scope.name + "' " + (is_write ? "writes" : "reads") + " '" + buffer->name + "'";
  if (declared.empty())
    return fail(where,
                what + ", but its " + (is_write ? "T.writes" : "T.reads") + " do not name it");
  const std::span<const VarRange> inner(
      inner_.begin() + static_cast<std::ptrdiff_t>(scope.first_inner), inner_.end());
  for (const BufferRegion* region : declared) {
    bool proven = true;
    for (size_t d = 0; d < touched.size() && proven; ++d) {
      const auto box = relax(touched[d], inner, analyzer_);
      proven = box && covers(region->region[d], *box, analyzer_);
    }
    if (proven)
      return true;
  }
  std::string values;
  if (counterexample(scope, declared, touched, values))
    return fail(where, what + " outside of what its " + (is_write ? "T.writes" : "T.reads") +
                           " say, for example where " + values);
  return true;
}

bool Verifier::iteration(int sample, Random& random, Values& values) const {
  for (const VarRange& var : inner_) {
    const auto min = value_of(var.range.min, values);
    const auto extent = value_of(var.range.extent, values);
    if (!min || !extent)
      continue; // Unknown: whatever depends on it is not evaluated.
    if (*extent <= 0)
      return false;
    const bool at_an_end = sample < 2 || sample % 2 == 0;
    values[var.var.get()] = sample == 0                        ? *min
                            : sample == 1                      ? *min + *extent - 1
                            : at_an_end && random.below(2) > 0 ? *min + *extent - 1
                            : at_an_end                        ? *min
                                                               : *min + random.below(*extent);
  }
  for (const Expr& guard : guards_) {
    const auto holds = guard ? value_of(guard, values) : std::nullopt;
    if (!holds || *holds == 0)
      return false;
  }
  return true;
}

std::string Verifier::iteration_text(const Values& values, size_t first_of_block) const {
  std::string text;
  for (size_t i = 0; i < inner_.size(); ++i) {
    const auto found = values.find(inner_[i].var.get());
    // Loops outside the block say nothing to its reader.
    if (found == values.end() || (i < first_of_block && text.size() > 60))
      continue;
    text +=
        (text.empty() ? "" : ", ") + inner_[i].var->name + " = " + std::to_string(found->second);
  }
  return text.empty() ? "it starts" : text;
}

bool Verifier::counterexample(const AccessScope& scope,
                              const std::vector<const BufferRegion*>& declared,
                              const std::vector<Range>& touched, std::string& text) const {
  Random random(1);
  for (int sample = 0; sample < 32; ++sample) {
    Values values;
    if (!iteration(sample, random, values))
      continue;
    bool known = true;
    bool inside = false;
    for (const BufferRegion* region : declared) {
      bool all = true;
      for (size_t d = 0; d < touched.size() && known; ++d) {
        const auto first = value_of(touched[d].min, values);
        const auto count = value_of(touched[d].extent, values);
        const auto low = value_of(region->region[d].min, values);
        const auto extent = value_of(region->region[d].extent, values);
        known = first && count && low && extent;
        if (known)
          all &= *count <= 0 || (*first >= *low && *first + *count <= *low + *extent);
      }
      inside |= all;
    }
    if (!known || inside)
      continue;
    text = iteration_text(values, scope.first_inner);
    return true;
  }
  return false;
}

// --- Accesses ------------------------------------------------------------------------------------

bool Verifier::inside(const BufferRegion& region, const NodeRef& where) {
  return inside(region.buffer, region.region, where);
}

bool Verifier::inside(const Buffer& buffer, std::span<const Range> touched, const NodeRef& where) {
  const bool is_guarded = kernel_depth > 0 && buffer->scope == "global";
  if (!with_accesses_ || is_guarded)
    return true;
  for (size_t d = 0; d < touched.size(); ++d) {
    const Expr& extent = buffer->shape[d];
    const Expr end = touched[d].min + touched[d].extent;
    if (analyzer_.bounds(touched[d].min).low >= 0 && analyzer_.can_prove_less_equal(end, extent))
      continue;
    proven_ = false;
    Random random(1);
    for (int sample = 0; sample < 96 && !may_stop_; ++sample) {
      Values values;
      if (!iteration(sample, random, values))
        continue;
      const auto first = value_of(touched[d].min, values);
      const auto count = value_of(touched[d].extent, values);
      const auto size = value_of(extent, values);
      if (!first || !count || *count <= 0 || !size)
        break; // Of no other iteration it is known.
      const int64_t last = *first + *count - 1;
      if (*first >= 0 && last < *size)
        continue;
      return fail(where,
                  "index " + std::to_string(d) + " of '" + buffer->name + "' is " +
                      std::to_string(*first < 0 ? *first : last) + ", outside its extent " +
                      std::to_string(*size) + ", where " +
                      iteration_text(values, scopes.empty() ? 0 : scopes.back().first_inner) +
                      "; put a condition around the access, or make the buffer larger");
    }
  }
  return true;
}

// --- Statements ----------------------------------------------------------------------------------

bool Verifier::stmt(const Stmt& node) {
  using namespace tir; // NOLINT: the statements
  if (failed_)
    return false;
  if (!node)
    return fail(nullptr, "a statement is missing");
  if (!statements_.insert(node.get()).second)
    return fail(node, std::string("a statement (") + node->info().name +
                          ") occurs twice in the function; copy it with fresh definitions");
  if (const auto layer = layers().find(node->kind()); layer != layers().end())
    return layer->second(*this, node);
  if (tir::is_tile_statement(node->kind()))
    return verify_tile_statement(*this, node);
  if (node->kind() >= kSTirKinds)
    return fail(node, std::string("a statement of kind ") + node->info().name +
                          " belongs to a layer that is not registered");
  return tir::visit(
      node,
      [&](const Bind& s) {
        if (!s.value || !s.var || s.var->dtype != s.value->dtype)
          return fail(node, "a bound variable and its value have different types");
        if (!expr(s.value) || !define(s.var, Definition::kValue))
          return false;
        if (is_index_type(s.var->dtype))
          inner(s.var, {s.value, make_int(s.var->dtype, 1)});
        return true;
      },
      [&](const AllocBuffer& s) {
        if (!s.buffer)
          return fail(node, "an allocation has no buffer");
        if (!buffer_parts(s.buffer) || !define(s.buffer))
          return false;
        local(s.buffer);
        return annotations(s.annotations, "an allocation");
      },
      [&](const BufferStore& s) {
        Scope scope(*this, s.buffer ? "store to " + s.buffer->name : "");
        if (!s.value)
          return fail(node, "a store has no value");
        if (!expr(s.value))
          return false;
        if (s.predicate) {
          if (!s.predicate->dtype.is_bool())
            return fail(node, "the predicate of a store has type " + type_text(s.predicate));
          if (!expr(s.predicate))
            return false;
          guard(nullptr);
        }
        int lanes = 1;
        if (!indices(s.buffer, s.indices, node, &lanes))
          return false;
        if (s.predicate && s.predicate->dtype.lanes != lanes)
          return fail(node, "the predicate of a store of " + std::to_string(lanes) + " lanes has " +
                                std::to_string(s.predicate->dtype.lanes));
        const DataType element = s.buffer->dtype;
        const DataType needed = element.with_lanes(element.lanes * lanes);
        if (s.value->dtype != needed)
          return fail(node, "a value of type " + type_text(s.value) + " is stored where " +
                                to_string(needed) + " must be");
        const std::vector<Range> touched = region_of_indices(s.indices, analyzer_);
        return inside(s.buffer, touched, node) && access(s.buffer, touched, true, node);
      },
      [&](const Evaluate& s) { return expr(s.value); },
      [&](const SeqStmt& s) {
        if (s.statements.size() == 1)
          return fail(node, "a sequence holds one statement; it must be that statement");
        Scope scope(*this, "");
        for (const Stmt& child : s.statements) {
          if (child && child.is<SeqStmt>())
            return fail(node, "a sequence stands directly in a sequence");
          if (!this->stmt(child))
            return false;
        }
        return true;
      },
      [&](const IfThenElse& s) {
        Scope outer(*this, "if");
        if (!condition(s.condition))
          return false;
        {
          Scope scope(*this, "");
          guard(s.condition);
          if (!this->stmt(s.then_case))
            return false;
        }
        if (!s.else_case)
          return true;
        Scope scope(*this, "else");
        guard(make_not(s.condition));
        return this->stmt(s.else_case);
      },
      [&](const For& s) {
        if (!s.loop_var)
          return fail(node, "a loop has no variable");
        Scope scope(*this, "for " + s.loop_var->name);
        const DataType dtype = s.loop_var->dtype;
        if (!dtype.is_integral() || !dtype.is_scalar())
          return fail(node, "a loop's variable has type " + to_string(dtype));
        if (!typed(s.min, dtype, "the start of a loop") ||
            !typed(s.extent, dtype, "the extent of a loop"))
          return false;
        if (s.kind > ForKind::kPipelined)
          return fail(node, "a loop has a kind that does not exist");
        if ((s.kind == ForKind::kThreadBinding) == s.thread.empty())
          return fail(node, s.thread.empty() ? "a thread binding does not name its thread"
                                             : "a loop names a thread, but is no thread binding");
        if (!annotations(s.annotations, "a loop") || !define(s.loop_var, Definition::kLoop))
          return false;
        inner(s.loop_var, {s.min, s.extent});
        if (const auto extent = as_int(s.extent); !extent || *extent <= 0)
          guard(nullptr); // The body may not run.
        if (s.kind == ForKind::kTileParallel && !is_int(s.min, 0))
          return fail(node, "a T.Parallel loop starts at 0");
        const bool ordered = s.kind == ForKind::kSerial || s.kind == ForKind::kUnrolled ||
                             s.kind == ForKind::kPipelined;
        const int outside = std::exchange(breakable_loops, ordered ? breakable_loops + 1 : 0);
        const bool good = this->stmt(s.body);
        breakable_loops = outside;
        return good;
      },
      [&](const While& s) {
        Scope scope(*this, "while");
        if (!condition(s.condition))
          return false;
        guard(nullptr);
        ++breakable_loops;
        const bool good = this->stmt(s.body);
        --breakable_loops;
        return good;
      },
      [&](const Break&) {
        return breakable_loops > 0 ? true
                                   : fail(node, "break is not inside a serial loop of its block");
      },
      [&](const Continue&) {
        return breakable_loops > 0
                   ? true
                   : fail(node, "continue is not inside a serial loop of its block");
      },
      [&](const Return& s) { return !s.value || expr(s.value); },
      [&](const tir::Assert& s) { return condition(s.condition); });
}

Result<void> Verifier::run() {
  const auto check = [&] {
    for (const Var& var : function_->shape_vars)
      if (!define(var, Definition::kValue))
        return false;
    for (const Param& param : function_->params) {
      if (static_cast<bool>(param.buffer) == static_cast<bool>(param.var))
        return fail(nullptr, "a parameter must be a buffer or a scalar, one of them");
      if (param.var ? !define(param.var, Definition::kValue) : !define(param.buffer))
        return false;
    }
    // A shape may mention a scalar parameter that stands after it.
    for (const Param& param : function_->params)
      if (param.buffer && !buffer_parts(param.buffer))
        return false;
    if (!annotations(function_->attrs, "the function"))
      return false;
    if (!function_->body)
      return fail(nullptr, "the function has no body");
    for (const FunctionVerifier layer : function_checks())
      if (!layer(*this, function_))
        return false;
    return stmt(function_->body);
  };
  if (!check())
    return std::move(error_);
  return {};
}

Result<bool> Verifier::run_with_accesses() {
  with_accesses_ = true;
  walk(function_->body, [&](const NodeRef& node) {
    may_stop_ |= node.is<tir::Break>() || node.is<tir::Continue>() || node.is<tir::Return>() ||
                 node.is<tir::Assert>();
    return !may_stop_ && !ExprNode::accepts(node->kind());
  });
  TEMPER_TRY_VOID(run());
  return proven_;
}

} // namespace verifier

Result<bool> verify_accesses(const PrimFunc& function, const VerifyOptions& options) {
  return verifier::Verifier(function, options).run_with_accesses();
}

Result<void> verify(const PrimFunc& function, const VerifyOptions& options) {
  return verifier::Verifier(function, options).run();
}

Result<void> verify(const IRModule& module, const VerifyOptions& options) {
  std::unordered_set<std::string> names;
  for (const ModuleEntry& entry : module->functions) {
    if (!names.insert(entry.name).second)
      return Error{ErrorCode::kInvalidArgument,
                   "the module has two functions named '" + entry.name + "'"};
    if (!entry.function)
      return Error{ErrorCode::kInvalidArgument, "function '" + entry.name + "' is missing"};
    if (const PrimFunc function = entry.function.as_ref<PrimFuncNode>())
      TEMPER_TRY_VOID(verify(function, options));
  }
  return {};
}

} // namespace temper::ir
