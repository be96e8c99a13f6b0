// T.copy from global to shared memory by cp.async: each thread asks for chunks of 16 bytes (or 8,
// or 4) that go past its registers. They have arrived after T.ptx_wait_group, which the pipeline
// around it has (ir/tir/pipeline.h), or else the copy itself, and are seen by other threads after
// the barrier behind that.
#include "ir/tir/cuda/variants.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"

#include <numeric>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

constexpr const char* kBytes = "bytes";

struct Chunks {
  std::vector<int64_t> shape; ///< of the tile
  std::vector<int64_t> bytes; ///< that a chunk may have, the most first
  int64_t width = 1;          ///< elements in a chunk
  int64_t count = 0;
};

Result<Chunks> chunks_of(const TileCall& call, TileContext& context) {
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  if (context.gpu == nullptr || context.gpu->architecture < 80)
    return no("cp.async is there from sm_80 on");
  if (from.buffer->scope != "global" || tile_scope(to.buffer->scope) != "shared")
    return no("cp.async copies from global to shared memory");
  if (from.buffer->dtype != to.buffer->dtype)
    return no("cp.async copies bytes, and the types differ");
  if (is_packed(from.buffer->dtype))
    return no("several elements share a byte of the source, and each has one in the tile");
  if (!from.buffer->strides.empty() || from.buffer->elem_offset)
    return no("the source has strides of its own");
  Chunks chunks;
  for (const Expr& extent : tile_shape(to)) {
    const auto value = as_int(extent);
    if (!value)
      return no("the tile's shape is not constant");
    chunks.shape.push_back(*value);
  }
  if (chunks.shape.empty() ||
      is_int(from.region.back().extent, 1) != is_int(to.region.back().extent, 1))
    return no("rows of the source are no rows of the tile");
  const int64_t bytes = to.buffer->dtype.element_bytes();
  // What divides the place of every chunk in the source: rows' length, and where the tile starts.
  const auto row = as_int(from.buffer->shape.back());
  if (!row)
    return no("the source's rows have no constant length, so their alignment is not known");
  const int64_t start = divisor(context.math.linear(from.region.back().min));
  const int64_t start_to = divisor(context.math.linear(to.region.back().min));
  int64_t common = std::gcd(std::gcd(chunks.shape.back(), *row), std::gcd(start, start_to));
  if (const auto layout = context.gpu->layout(to.buffer))
    common = std::gcd(common, vector_width(*layout));
  for (const int64_t size : {16, 8, 4})
    if (size % bytes == 0 && common % (size / bytes) == 0)
      chunks.bytes.push_back(size);
  if (!chunks.bytes.empty()) {
    TEMPER_TRY(size, tile_knob(call, {kBytes, chunks.bytes, chunks.bytes.front()}));
    chunks.width = size / bytes;
    chunks.count = 1;
    for (const int64_t extent : chunks.shape)
      chunks.count *= extent;
    chunks.count /= chunks.width;
    return chunks;
  }
  return no("rows of " + std::to_string(chunks.shape.back()) + " elements out of rows of " +
            std::to_string(*row) + " are not aligned to 4 bytes");
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(chunks, chunks_of(call, context));
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const Var step = make_var("i");
  const int64_t steps = (chunks.count + gpu.threads - 1) / gpu.threads;
  const Expr chunk = steps == 1 ? gpu.thread : Expr(step) * gpu.threads + gpu.thread;
  std::vector<Expr> indices(chunks.shape.size());
  int64_t weight = 1;
  for (size_t d = chunks.shape.size(); d-- > 0;) {
    const bool last = d + 1 == chunks.shape.size();
    const int64_t extent = last ? chunks.shape[d] / chunks.width : chunks.shape[d];
    Expr index = weight > 1 ? floordiv(chunk, weight) : chunk;
    weight *= extent;
    if (d > 0)
      index = floormod(index, extent);
    indices[d] = last && chunks.width > 1 ? index * chunks.width : index;
  }
  const std::vector<Expr> source = tile_indices(from, indices);
  Expr inside;
  for (size_t d = 0; d < source.size(); ++d) {
    const Expr extent = tile_cast(source[d]->dtype, from.buffer->shape[d]);
    const Range& range = from.region[d];
    const Expr end = range.min + tile_cast(range.min->dtype, range.extent);
    const auto need = [&](bool known, const Expr& condition) {
      if (!known)
        inside = inside ? make_binary<And>(inside, condition) : condition;
    };
    need(context.math.can_prove(make_binary<LE>(make_int(range.min->dtype, 0), range.min)),
         make_binary<LE>(make_int(source[d]->dtype, 0), source[d]));
    need(context.math.can_prove(make_binary<LE>(end, tile_cast(end->dtype, from.buffer->shape[d]))),
         make_binary<LT>(source[d], extent));
  }
  std::vector<Expr> operands = {make_load(to.buffer, tile_indices(to, indices)),
                                make_load(from.buffer, source), int32(chunks.width)};
  if (inside)
    operands.push_back(inside);
  Stmt copy = make_evaluate(call_op("ptx_cp_async", std::move(operands)));
  copy->span = call.span;
  if (chunks.count % gpu.threads != 0)
    copy = make_if(make_binary<LT>(chunk, int32(chunks.count)), copy);
  const Stmt copies = unrolled(step, steps, copy);
  if (call.options.get(kAsyncCopy))
    return copies;
  // No pipeline waits for it.
  return make_seq({copies, make_evaluate(call_op("ptx_commit_group", {})),
                   make_evaluate(call_op("ptx_wait_group", {int32(0)}))});
}

} // namespace

TileVariant copy_async() {
  return {.op = "copy",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "cp_async",
          .doc = "asynchronous copies of 16 bytes into shared memory",
          .fits = succeeds<chunks_of>,
          .knobs = [](const TileCall& call, TileContext& context) -> std::vector<TileKnob> {
            const auto chunks = chunks_of(call, context);
            if (!chunks)
              return {};
            return {{kBytes, chunks->bytes, chunks->bytes.front()}};
          },
          .lower = lower};
}

} // namespace temper::tir::cuda
