// T.copy of a fragment into shared memory by stmatrix: matrices of 8 x 8 elements of 16 bits that
// lie in a warp's registers as tensor cores leave them go to rows of 16 bytes each.
//
//   for q in range(registers / 8):
//     values = C_local[8 q ... 8 q + 7], rounded to 16 bits
//     T.ptx_stmatrix(C_shared[row of the lane, column], values[0], 4)
#include "ir/tir/cuda/variants.h"

#include "ir/op.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/pipeline_stages.h"

#include <fmt/format.h>

namespace temper::tir::cuda {
namespace {

constexpr int64_t kSide = 8; ///< of a matrix, and elements in 16 bytes

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

struct Matrices {
  Layout elements;   ///< (thread, register) -> row-major number of the element
  int64_t count = 4; ///< of matrices in an operation
};

Result<Matrices> matrices_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture < 90)
    return no("stmatrix is there from sm_90 on");
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  if (tile_scope(from.buffer->scope) != "fragment" || tile_scope(to.buffer->scope) != "shared")
    return no("stmatrix stores a fragment into shared memory");
  const DataType out = to.buffer->dtype;
  if (!out.is_floating() || out.bits != 16 ||
      (from.buffer->dtype != out && from.buffer->dtype != DataType::float32()))
    return no("stmatrix stores float16 and bfloat16, and not " + to_string(out) + " out of " +
              to_string(from.buffer->dtype));
  if (!is_whole(from) || !is_whole(to) || from.buffer->rank() != 2 || to.buffer->rank() != 2)
    return no("stmatrix is for whole matrices");
  const auto tile = gpu.layout(to.buffer);
  const int64_t width = tile ? vector_width(*tile) : as_int(to.buffer->shape.back()).value_or(1);
  if (width % kSide != 0)
    return no("rows of " + to.buffer->name + " have no 8 elements side by side");
  const auto layout = gpu.layout(from.buffer);
  if (!layout || !layout->replicas.empty())
    return no("several threads hold the same elements");
  auto elements = inverse(*layout, {kThreadAxis, kMemoryAxis});
  if (!elements || elements->shape[0] != gpu.threads || gpu.threads % 32 != 0 ||
      elements->shape[1] % 2 != 0)
    return no("the fragment does not lie in matrices of 8 x 8");
  const LayoutMap numbers(*elements);
  const int64_t registers = elements->shape[1];
  const int64_t columns = layout->shape[1];
  for (int64_t thread = 0; thread < gpu.threads; ++thread)
    for (int64_t reg = 0; reg < registers; ++reg) {
      const int64_t lane = thread % 32;
      const int64_t first = numbers.offset((thread - lane) * registers + reg / 2 * 2);
      const int64_t expected =
          first + lane / 4 * columns + lane % 4 * 2 + reg % 2; // as the PTX ISA draws it
      if (numbers.offset(thread * registers + reg) != expected || first % columns % kSide != 0)
        return no("the fragment does not lie in matrices of 8 x 8");
    }
  Matrices matrices;
  matrices.elements = *std::move(elements);
  matrices.count = registers % 8 == 0 ? 4 : registers % 4 == 0 ? 2 : 1;
  return matrices;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(matrices, matrices_of(call, context));
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const Buffer registers = gpu.registers(from.buffer);
  const int64_t columns = *as_int(from.buffer->shape.back());
  const int64_t per = 2 * matrices.count;
  const int64_t operations = matrices.elements.shape[1] / per;
  const Var q = make_var("q"), r = make_var("r");
  const Expr lane = floormod(gpu.thread, 32);
  // Lane 8 i + j gives row j of matrix i: where the lane that holds its first element has it.
  const Expr holder = gpu.thread - lane + floormod(lane, 8) * 4;
  const Expr number = layout_value(
      matrices.elements,
      std::vector<Expr>{holder, Expr(q) * per + floormod(floordiv(lane, 8), matrices.count) * 2});
  const Expr place = make_load(
      to.buffer,
      tile_indices(to, std::vector<Expr>{floordiv(number, columns), floormod(number, columns)}));
  std::vector<Stmt> body;
  Expr first = make_load(registers, {Expr(q) * per});
  if (from.buffer->dtype != to.buffer->dtype) {
    const Buffer values = make_buffer("values", to.buffer->dtype, {int32(per)}, "local");
    body.push_back(make_alloc(values));
    body.push_back(make_for(
        r, int32(0), int32(per), ForKind::kUnrolled,
        make_store(values, {Expr(r)},
                   make_cast(to.buffer->dtype, make_load(registers, {Expr(q) * per + Expr(r)})))));
    first = make_load(values, {int32(0)});
  }
  Stmt store = make_evaluate(call_op("ptx_stmatrix", {place, first, int32(matrices.count)}));
  store->span = call.span;
  body.push_back(std::move(store));
  return unrolled(q, operations, make_seq(std::move(body)));
}

} // namespace

TileVariant copy_stmatrix() {
  return {.op = "copy",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "stmatrix",
          .doc = "a fragment that tensor cores left, into shared memory by stmatrix (sm_90 on)",
          .fits = succeeds<matrices_of>,
          .lower = lower,
          .best = true};
}

} // namespace temper::tir::cuda
