// T.copy through registers in vectors of 16 bytes (or 8, or 4): between a fragment and memory where
// neighbouring registers hold neighbouring elements, and out of shared memory.
//
//   for q in range(registers / 8):
//     T.copy_vector(x[8 q], A[row, column], 8)
//
// Where the types differ, a vector of the memory's type is converted element by element on the way.
#include "ir/tir/cuda/variants.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/step_vectors.h"

#include <numeric>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, "vectors: " + std::move(why)}; }

struct Vectors {
  int64_t width = 1;     ///< elements
  bool loads = true;     ///< into the fragment, or else out of it
  bool fragment = false; ///< there is one
  Layout elements;       ///< of the fragment: (thread, register) -> row-major number
};

/// The widest vectors into which the rows of a region of global or shared memory divide.
Result<int64_t> width_in(const BufferRegion& region, int64_t row, TileContext& context) {
  const Buffer& buffer = region.buffer;
  const bool shared = tile_scope(buffer->scope) == "shared";
  if (!shared && buffer->scope != "global")
    return no(buffer->name + " is neither in global nor in shared memory");
  if (is_packed(buffer->dtype) || buffer->dtype.is_bool())
    return no("several elements of " + buffer->name + " share a byte");
  if (!buffer->strides.empty() || buffer->elem_offset)
    return no(buffer->name + " has strides of its own");
  const auto whole = as_int(buffer->shape.back());
  if (!whole || is_int(region.region.back().extent, 1))
    return no("rows of " + buffer->name + " are no rows of the tile");
  int64_t common =
      std::gcd(std::gcd(row, *whole), divisor(context.math.linear(region.region.back().min)));
  if (const auto layout = shared ? context.gpu->layout(buffer) : std::nullopt)
    common = std::gcd(common, vector_width(*layout));
  const int64_t bytes = buffer->dtype.element_bytes();
  for (const int64_t size : {16, 8, 4})
    if (size % bytes == 0 && size > bytes && common % (size / bytes) == 0)
      return size / bytes;
  return no("rows of " + buffer->name + " are not aligned to vectors");
}

Result<Vectors> vectors_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr)
    return no("they are of GPUs");
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  Vectors vectors;
  vectors.loads = is_fragment(to);
  vectors.fragment = vectors.loads || is_fragment(from);
  if (is_fragment(from) && is_fragment(to))
    return no("registers are copied one by one");
  if (!vectors.fragment) {
    if (from.buffer->dtype != to.buffer->dtype)
      return no("the types differ");
    const auto row = as_int(tile_shape(to).empty() ? int32(1) : tile_shape(to).back());
    if (!row)
      return no("the tile's shape is not constant");
    for (const Expr& extent : tile_shape(to))
      if (!as_int(extent))
        return no("the tile's shape is not constant");
    TEMPER_TRY(a, width_in(from, *row, context));
    TEMPER_TRY(b, width_in(to, *row, context));
    vectors.width = std::gcd(a, b);
    if (vectors.width * from.buffer->dtype.element_bytes() < 4)
      return no("rows are not aligned to vectors");
    return vectors;
  }
  const BufferRegion& held = vectors.loads ? to : from;
  const BufferRegion& memory = vectors.loads ? from : to;
  for (size_t d = 0; d < held.region.size(); ++d)
    if (!is_int(held.region[d].min, 0) ||
        !same_extent(held.region[d].extent, held.buffer->shape[d]))
      return no("a part of the fragment " + held.buffer->name + " is copied");
  const auto layout = gpu.layout(held.buffer);
  if (!layout || layout->shape.back() == 1)
    return no("the fragment " + held.buffer->name + " has no rows");
  if (!vectors.loads && !layout->replicas.empty())
    return no("several threads hold the same elements");
  auto elements = inverse(*layout, {kThreadAxis, kMemoryAxis});
  if (!elements || elements->shape[0] != gpu.threads)
    return no("the threads do not share out " + held.buffer->name);
  TEMPER_TRY(width, width_in(memory, layout->shape.back(), context));
  width = neighbouring_registers(*elements, layout->shape.back(), width);
  if (width * memory.buffer->dtype.element_bytes() < 4 || width == 1)
    return no("neighbouring registers of " + held.buffer->name + " hold no neighbouring elements");
  vectors.width = width;
  vectors.elements = *std::move(elements);
  return vectors;
}

/// Whether the vector that begins there is inside of its buffer; null: it certainly is.
Expr inside_of(const BufferRegion& region, const std::vector<Expr>& first, TileContext& context) {
  Expr inside;
  if (region.buffer->scope != "global")
    return inside;
  for (size_t d = 0; d < first.size(); ++d) {
    const Range& range = region.region[d];
    const Expr extent = tile_cast(first[d]->dtype, region.buffer->shape[d]);
    const Expr end = range.min + tile_cast(range.min->dtype, range.extent);
    const auto need = [&](bool known, const Expr& condition) {
      if (!known)
        inside = inside ? make_binary<And>(inside, condition) : condition;
    };
    need(context.math.can_prove(make_binary<LE>(make_int(range.min->dtype, 0), range.min)),
         make_binary<LE>(make_int(first[d]->dtype, 0), first[d]));
    need(context.math.can_prove(
             make_binary<LE>(end, tile_cast(end->dtype, region.buffer->shape[d]))),
         make_binary<LT>(first[d], extent));
  }
  return inside;
}

Stmt moved(const TileCall& call, const Expr& to, const Expr& from, int64_t width) {
  Stmt result = make_evaluate(call_op("copy_vector", {to, from, int32(width)}));
  result->span = call.span;
  return result;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(vectors, vectors_of(call, context));
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const int64_t width = vectors.width;
  const Var q = make_var("q"), e = make_var("e");
  if (!vectors.fragment) {
    std::vector<int64_t> shape;
    int64_t count = 1;
    for (const Expr& extent : tile_shape(to)) {
      shape.push_back(*as_int(extent));
      count *= shape.back();
    }
    count /= width;
    const int64_t steps = (count + gpu.threads - 1) / gpu.threads;
    const Expr vector = steps == 1 ? gpu.thread : Expr(q) * gpu.threads + gpu.thread;
    const std::vector<Expr> at = coordinate(vector * width, shape);
    const std::vector<Expr> source = tile_indices(from, at), target = tile_indices(to, at);
    Stmt copy = moved(call, make_load(to.buffer, target), make_load(from.buffer, source), width);
    if (const Expr inside = inside_of(to, target, context))
      copy = make_if(inside, copy);
    if (const Expr inside = inside_of(from, source, context)) {
      Stmt zeros = make_for(e, int32(0), int32(width), ForKind::kUnrolled,
                            make_store(
                                to.buffer,
                                [&] {
                                  std::vector<Expr> behind = target;
                                  behind.back() = behind.back() + Expr(e);
                                  return behind;
                                }(),
                                make_const(to.buffer->dtype, 0)));
      copy = make_if(inside, copy, zeros);
    }
    if (count % gpu.threads != 0)
      copy = make_if(make_binary<LT>(vector, int32(count)), copy);
    return unrolled(q, steps, copy);
  }
  const BufferRegion& held = vectors.loads ? to : from;
  const BufferRegion& memory = vectors.loads ? from : to;
  const Buffer registers = gpu.registers(held.buffer);
  const auto layout = gpu.layout(held.buffer);
  const Expr first = Expr(q) * width;
  const Expr number = layout_value(vectors.elements, std::vector<Expr>{gpu.thread, first});
  std::vector<Expr> at = coordinate(number, layout->shape);
  // The tile's shape has no dimensions of 1.
  std::vector<Expr> kept;
  for (size_t d = 0; d < at.size(); ++d)
    if (layout->shape[d] != 1)
      kept.push_back(at[d]);
  const std::vector<Expr> place = tile_indices(memory, kept);
  const Expr element = make_load(memory.buffer, place);
  const Expr inside = inside_of(memory, place, context);
  const bool converts = memory.buffer->dtype != held.buffer->dtype;
  std::vector<Stmt> body;
  Buffer values = registers;
  Expr value_first = first;
  if (converts) {
    values = make_buffer("values", memory.buffer->dtype, {int32(width)}, "local");
    value_first = int32(0);
    body.push_back(make_alloc(values));
  }
  const auto each = [&](const Stmt& stmt) {
    return make_for(e, int32(0), int32(width), ForKind::kUnrolled, stmt);
  };
  const Expr here = make_load(values, {value_first});
  if (vectors.loads) {
    Stmt load = moved(call, here, element, width);
    if (inside) {
      const Var z = make_var("e");
      load = make_if(
          inside, load,
          make_for(z, int32(0), int32(width), ForKind::kUnrolled,
                   make_store(values, {value_first + Expr(z)}, make_const(values->dtype, 0))));
    }
    body.push_back(load);
    if (converts)
      body.push_back(each(make_store(registers, {first + Expr(e)},
                                     tile_cast(registers->dtype, make_load(values, {Expr(e)})))));
  } else {
    if (converts)
      body.push_back(each(make_store(
          values, {Expr(e)}, tile_cast(values->dtype, make_load(registers, {first + Expr(e)})))));
    Stmt store = moved(call, element, here, width);
    body.push_back(inside ? make_if(inside, store) : store);
  }
  return unrolled(q, vectors.elements.shape[1] / width, make_seq(std::move(body)));
}

} // namespace

TileVariant copy_vector() {
  return {.op = "copy",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "vector",
          .doc = "through registers, 16 bytes at a time",
          .fits = succeeds<vectors_of>,
          .lower = lower,
          .best = true};
}

} // namespace temper::tir::cuda
