// Instructions by LLVM's names, lane by lane: what T.call_llvm_pure_intrin means to the
// interpreter. Vendors' definitions are the authority (the intrinsics guides of Intel and Arm). The
// list is that of the built-in tensor intrinsics; of others the interpreter says that it does not
// know them (their descriptions run: ir/s_tir/tensor_intrinsic.h).
#include "ir/detail/interpreter.h"

#include "ir/op.h"
#include "ir/tir/stmt.h"

#include <cmath>
#include <cstring>

namespace temper::ir::interpreter {
namespace {

/// A vector's lanes as bytes, least significant first.
void to_bytes(DataType type, const Slot* lanes, std::byte* bytes) {
  const int width = type.element_bytes();
  for (int lane = 0; lane < type.lanes; ++lane) {
    const uint64_t bits = bits_of(type.element(), lanes[lane]);
    for (int b = 0; b < width; ++b)
      bytes[lane * width + b] = static_cast<std::byte>(bits >> (8 * b));
  }
}
void from_bytes(DataType type, const std::byte* bytes, Slot* lanes) {
  const int width = type.element_bytes();
  for (int lane = 0; lane < type.lanes; ++lane) {
    uint64_t bits = 0;
    for (int b = 0; b < width; ++b)
      bits |= static_cast<uint64_t>(bytes[lane * width + b]) << (8 * b);
    lanes[lane] = from_bits(type.element(), bits);
  }
}

class Reinterpret final : public Code {
public:
  Reinterpret(DataType from, DataType to, CodePtr value)
      : Code(to.lanes), from_(from), to_(to), value_(std::move(value)),
        bytes_(static_cast<size_t>(from.bytes())) {}
  Slot scalar(Frame& frame) override {
    Slot lane;
    lanes(frame, &lane);
    return lane;
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch in(frame, from_.lanes);
    value_->eval(frame, in.get());
    to_bytes(from_, in.get(), bytes_.data());
    from_bytes(to_, bytes_.data(), out);
  }

private:
  DataType from_;
  DataType to_;
  CodePtr value_;
  std::vector<std::byte> bytes_;
};

/// sums[i] += the products of the i-th groups of a and b.
class DotGroups final : public Code {
public:
  enum class Kind : uint8_t { kBf16, kU8S8, kS8S8, kU8U8 };
  DotGroups(Kind kind, DataType type, CodePtr sums, DataType a_type, CodePtr a, DataType b_type,
            CodePtr b)
      : Code(type.lanes), kind_(kind), type_(type), a_type_(a_type), b_type_(b_type),
        sums_(std::move(sums)), a_(std::move(a)), b_(std::move(b)),
        bytes_(2 * static_cast<size_t>(type.bytes())) {}
  Slot scalar(Frame& frame) override {
    Slot lane;
    lanes(frame, &lane);
    return lane;
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch a(frame, a_type_.lanes);
    Scratch b(frame, b_type_.lanes);
    sums_->eval(frame, out);
    a_->eval(frame, a.get());
    b_->eval(frame, b.get());
    std::byte* a_bytes = bytes_.data();
    std::byte* b_bytes = a_bytes + type_.bytes();
    to_bytes(a_type_, a.get(), a_bytes);
    to_bytes(b_type_, b.get(), b_bytes);
    for (int lane = 0; lane < count(); ++lane) {
      const std::byte* x = a_bytes + 4 * lane;
      const std::byte* y = b_bytes + 4 * lane;
      if (kind_ == Kind::kBf16) {
        // Odd elements first, each step fused and rounded to nearest; denormals count as zero.
        float sum = flushed(static_cast<float>(out[lane].d));
        for (const int i : {1, 0})
          sum = flushed(std::fma(bf16(x + 2 * i), bf16(y + 2 * i), sum));
        out[lane].d = static_cast<double>(sum);
      } else {
        auto sum = static_cast<uint32_t>(out[lane].i);
        for (int i = 0; i < 4; ++i)
          sum += static_cast<uint32_t>(byte(x[i], kind_ == Kind::kS8S8) *
                                       byte(y[i], kind_ != Kind::kU8U8));
        out[lane].i = static_cast<int32_t>(sum);
      }
    }
  }

private:
  static float flushed(float value) {
    return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value;
  }
  static int byte(std::byte value, bool has_sign) {
    return has_sign ? static_cast<int8_t>(value) : static_cast<int>(value);
  }
  static float bf16(const std::byte* at) {
    const uint64_t bits = static_cast<uint64_t>(at[0]) | static_cast<uint64_t>(at[1]) << 8;
    return flushed(static_cast<float>(from_bits(DataType::bfloat16(), bits).d));
  }

  Kind kind_;
  DataType type_;
  DataType a_type_;
  DataType b_type_;
  CodePtr sums_;
  CodePtr a_;
  CodePtr b_;
  std::vector<std::byte> bytes_;
};

struct Known {
  const char* name;
  DotGroups::Kind kind;
  DataType type;
};
constexpr Known kKnown[] = {
    {"llvm.x86.avx512bf16.dpbf16ps.128", DotGroups::Kind::kBf16, DataType::floating(32, 4)},
    {"llvm.x86.avx512bf16.dpbf16ps.256", DotGroups::Kind::kBf16, DataType::floating(32, 8)},
    {"llvm.x86.avx512bf16.dpbf16ps.512", DotGroups::Kind::kBf16, DataType::floating(32, 16)},
    {"llvm.x86.avx512.vpdpbusd.128", DotGroups::Kind::kU8S8, DataType::integer(32, 4)},
    {"llvm.x86.avx512.vpdpbusd.256", DotGroups::Kind::kU8S8, DataType::integer(32, 8)},
    {"llvm.x86.avx512.vpdpbusd.512", DotGroups::Kind::kU8S8, DataType::integer(32, 16)},
    {"llvm.x86.avx2.vpdpbssd.128", DotGroups::Kind::kS8S8, DataType::integer(32, 4)},
    {"llvm.x86.avx2.vpdpbssd.256", DotGroups::Kind::kS8S8, DataType::integer(32, 8)},
    {"llvm.aarch64.neon.sdot.v4i32.v16i8", DotGroups::Kind::kS8S8, DataType::integer(32, 4)},
    {"llvm.aarch64.neon.udot.v4i32.v16i8", DotGroups::Kind::kU8U8, DataType::integer(32, 4)},
    {"llvm.aarch64.neon.usdot.v4i32.v16i8", DotGroups::Kind::kU8S8, DataType::integer(32, 4)},
};

} // namespace

CodePtr reinterpret_lanes(DataType from, DataType to, CodePtr value) {
  return std::make_unique<Reinterpret>(from, to, std::move(value));
}

CodePtr compile_llvm_call(Compiler& compiler, const Call& call) {
  const auto* name = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
  const auto nothing = [&](const std::string& why) -> CodePtr {
    compiler.fail(&call, why);
    return compiler.compile(make_const(call.dtype, 0));
  };
  if (name == nullptr)
    return nothing("T.call_llvm_pure_intrin needs LLVM's name of an instruction");
  for (const Known& known : kKnown) {
    if (name->value != known.name)
      continue;
    if (call.args.size() != 4 || call.dtype != known.type || call.args[1]->dtype != known.type ||
        call.args[2]->dtype.bytes() != known.type.bytes() ||
        call.args[3]->dtype.bytes() != known.type.bytes())
      return nothing(name->value + " takes three vectors, sums of " + to_string(known.type));
    return std::make_unique<DotGroups>(known.kind, known.type, compiler.compile(call.args[1]),
                                       call.args[2]->dtype, compiler.compile(call.args[2]),
                                       call.args[3]->dtype, compiler.compile(call.args[3]));
  }
  return nothing("the interpreter does not know the instruction " + name->value +
                 "; run the program before lowering");
}

Stmt amx_as_loops(const Call& call) {
  using namespace tir;               // NOLINT
  constexpr int64_t kGroupBytes = 4; // of B's columns that lie together
  const auto place = [&](size_t arg) { return call.args[arg].as<BufferLoad>(); };
  const BufferLoad* c = place(0);
  const BufferLoad* a = place(3);
  const BufferLoad* b = place(6);
  const int64_t group = kGroupBytes / a->buffer->dtype.bytes();
  const Var i = make_var("i");
  const Var j = make_var("j");
  const Var k = make_var("k");
  // So many rows below the first element, and so many elements to its right.
  const auto at = [&](size_t first, const Expr& row, const Expr& column) {
    const BufferLoad* begin = place(first);
    const BufferLoad* second = place(first + 1);
    std::vector<Expr> indices;
    for (size_t d = 0; d < begin->indices.size(); ++d) {
      const Expr& from = begin->indices[d];
      const auto typed = [&](const Expr& index) {
        return index->dtype == from->dtype ? index : make_cast(from->dtype, index);
      };
      Expr index = from + typed(row) * (second->indices[d] - from);
      if (d + 1 == begin->indices.size())
        index = index + typed(column);
      indices.push_back(std::move(index));
    }
    return indices;
  };
  const DataType sum = c->buffer->dtype;
  const Expr product =
      make_cast(sum, make_load(a->buffer, at(3, i, k))) *
      make_cast(sum,
                make_load(b->buffer, at(6, floordiv(k, group), j * group + floormod(k, group))));
  Stmt body = make_store(c->buffer, at(0, i, j), make_load(c->buffer, at(0, i, j)) + product);
  for (const auto& [var, extent] : {std::pair{k, 11}, std::pair{j, 10}, std::pair{i, 9}})
    body = make_for(var, make_int(var->dtype, 0),
                    make_int(var->dtype, *as_int(call.args[static_cast<size_t>(extent)])),
                    ForKind::kSerial, body);
  if (is_int(call.args[12], 0))
    return body;
  const Var row = make_var("row");
  const Var column = make_var("column");
  const Expr zero = sum.is_floating() ? Expr(make_float(sum, 0)) : Expr(make_int(sum, 0));
  Stmt clear = make_store(c->buffer, at(0, row, column), zero);
  for (const auto& [var, extent] : {std::pair{column, 10}, std::pair{row, 9}})
    clear = make_for(var, make_int(var->dtype, 0),
                     make_int(var->dtype, *as_int(call.args[static_cast<size_t>(extent)])),
                     ForKind::kSerial, clear);
  const Expr& start = call.args[12];
  return make_seq({make_if(logical_not(equal(start, make_int(start->dtype, 0))), clear), body});
}

} // namespace temper::ir::interpreter
