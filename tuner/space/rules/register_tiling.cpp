/// Register tiling with packed operands, for matrix products and everything shaped like them
/// (batched products, convolutions over channels): an mr x nr tile of the output stays in vector
/// registers while the whole reduction runs (Goto and van de Geijn, ACM TOMS 2008; BLIS, ACM TOMS
/// 2015).
///
///   B_packed[n // nr, k, n % nr] = B[k, n]    all of it ahead, or a block's columns, or a cut of
///                                             them, just before they are used; likewise A by mr
///   for n2, m2, n1, m1:                               cache blocking, sampled
///     for k:                                          unrolled by a sampled step
///       for mi in mr, nj in nr / lanes: C[..] += broadcast(A) * vector of B_packed
///
/// An operand that the workload calls constant is packed ahead of the kernel's calls instead
/// (primitive pack_ahead): always all of it, and how its copy runs is nothing to search for.
///
/// The axes by what they index: n is the output's last and in B, m is in the output and in A alone.
/// Where the target multiplies and adds short groups of narrow numbers in one instruction (bf16 in
/// pairs, int8 in fours: ir/s_tir/tensor_intrinsic.h), that instruction computes a vector of sums,
/// and the panels hold groups: B_packed[n // nr, k // g, n % nr * g + k % g].
/// Where it has instructions for whole matrices (AMX) and n and k divide into their tiles, these
/// take the place of the register tile: sums stay in tile registers over a long cut of the
/// reduction. Where 16 and 32 do not divide m, tiles have as many rows as do, or zeros fill the
/// last (primitive pad_einsum). Operands of 16-bit floats can also be converted while they are
/// packed: where the instruction is slow (Sapphire Rapids runs one vdpbf16ps in the time of four
/// multiply-adds) that is the better way. A convolution's window may be what is unrolled, instead
/// of k: neighbouring rows read the same elements of A in other steps, and loads are what a tile
/// has too many of. Its steps then run class by class (every second one where the stride is two):
/// only those of one class share what they read, so that a value is used up before the next class
/// needs its register. Where m is short (four columns of a small image), one more such axis gives
/// the tile its rows: all of m times some of that. The reduction is blocked only where it is long:
/// with panels of mr and nr in cache one pass over it costs nothing until they outgrow L2. Of a
/// window's axes (the depth and height of a convolution's) some may run around the tiles instead,
/// so that what is left of a panel of B stays in L1 and steps in which all of A is padding are left
/// out.
#include "tuner/space/rules/dot_instruction.h"
#include "tuner/space/rules/vector_reduction.h"

#include "ir/arith/linear.h"
#include "ir/pass/lowering.h"
#include "ir/s_tir/packs.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace temper::tuner {
namespace {

using namespace s_tir;

bool uses(const BufferRegion& region, const IterVar& axis) {
  return std::any_of(region.region.begin(), region.region.end(),
                     [&](const Range& range) { return mentions(range.min, axis.var); });
}

/// A block seen as a matrix product.
struct Product {
  size_t m = 0;             ///< axis that only A and the output have
  std::optional<size_t> m2; ///< the one before it of that kind
  size_t n = 0;             ///< axis that only B and the output have, contiguous in the output
  size_t k = 0;             ///< the reduce axis that runs innermost
  size_t a_read = 0;
  size_t b_read = 0;
  /// The dimension of A that m alone indexes; none when A is not packed (a convolution's windows).
  std::optional<size_t> a_dimension;
  size_t b_dimension = 0;
  bool contiguous = true; ///< B's last dimension is n's; else B is transposed and must be packed
  bool a_constant = false;
  bool b_constant = false;
  /// A short reduce axis along which m's dimension of A is read, too: a convolution's window. Its
  /// steps read mostly what the steps before have read of other rows.
  std::optional<size_t> window;
  /// Steps along the window after which a row reads what another one has read.
  int64_t window_period = 1;
  /// The dimensions that k alone indexes; none where something else does too.
  std::optional<size_t> a_reduce;
  std::optional<size_t> b_reduce;
};

/// The dimension that is indexed by the axis alone, when no other one uses the axis.
std::optional<size_t> only_dimension(const BufferRegion& region, const IterVar& axis) {
  std::optional<size_t> only;
  for (size_t d = 0; d < region.region.size(); ++d) {
    if (!mentions(region.region[d].min, axis.var))
      continue;
    if (only || region.region[d].min.get() != axis.var.get())
      return std::nullopt;
    only = d;
  }
  return only;
}

/// From so many steps on a window is not short.
constexpr int64_t kMaxWindow = 8;

/// Finds `window` and its period.
void find_window(const BlockFacts& facts, Product& product) {
  const SBlock& block = *facts.block;
  const Var& m = block.iter_vars[product.m].var;
  for (const Range& range : block.reads[product.a_read].region) {
    if (!mentions(range.min, m))
      continue;
    const LinearForm form = linear_form(range.min);
    const int64_t stride = std::abs(form.coefficient_of(m));
    for (size_t axis = 0; axis < block.iter_vars.size() && stride > 0; ++axis) {
      const int64_t dilation = std::abs(form.coefficient_of(block.iter_vars[axis].var));
      if (axis == product.k || dilation == 0 || facts.classes[axis] != LoopClass::kReduce ||
          facts.extents[axis] < 2 || facts.extents[axis] > kMaxWindow)
        continue;
      const int64_t period = stride / std::gcd(stride, dilation);
      if (period >= facts.extents[axis])
        continue; // no step reads what another one has read
      product.window = axis;
      product.window_period = period;
      return;
    }
  }
}

std::optional<Product> as_product(const BlockFacts& facts) {
  if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init || facts.store == nullptr ||
      !facts.block->annotations.empty())
    return std::nullopt;
  const SBlock& block = *facts.block;
  if (block.writes.size() != 1 || block.writes[0].region.empty() || block.iter_vars.empty())
    return std::nullopt;
  const BufferRegion& output = block.writes[0];
  std::vector<size_t> operands;
  for (size_t i = 0; i < block.reads.size(); ++i)
    if (block.reads[i].buffer != output.buffer)
      operands.push_back(i);
  if (operands.size() != 2)
    return std::nullopt;

  Product product;
  bool has_n = false;
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis)
    if (output.region.back().min.get() == block.iter_vars[axis].var.get()) {
      product.n = axis;
      has_n = true;
    }
  if (!has_n)
    return std::nullopt;
  const IterVar& n = block.iter_vars[product.n];
  const bool first = uses(block.reads[operands[0]], n);
  if (first == uses(block.reads[operands[1]], n))
    return std::nullopt; // both: an elementwise product along n (a depthwise convolution)
  product.b_read = operands[first ? 0 : 1];
  product.a_read = operands[first ? 1 : 0];
  const BufferRegion& a = block.reads[product.a_read];
  const BufferRegion& b = block.reads[product.b_read];
  bool has_m = false;
  bool has_k = false;
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
    const IterVar& it = block.iter_vars[axis];
    if (it.type == IterType::kReduce) {
      product.k = axis;
      has_k = true;
    } else if (axis != product.n && facts.extents[axis] > 1 && uses(a, it) && !uses(b, it)) {
      if (has_m)
        product.m2 = product.m;
      product.m = axis;
      has_m = true;
    }
  }
  if (!has_m || !has_k)
    return std::nullopt;
  product.a_dimension = only_dimension(a, block.iter_vars[product.m]);
  const std::optional<size_t> b_dimension = only_dimension(b, n);
  if (!b_dimension)
    return std::nullopt;
  product.b_dimension = *b_dimension;
  product.contiguous = product.b_dimension + 1 == b.region.size();
  product.a_reduce = only_dimension(a, block.iter_vars[product.k]);
  product.b_reduce = only_dimension(b, block.iter_vars[product.k]);
  find_window(facts, product);
  return product;
}

constexpr int64_t kMaxPackedRows = 4096;
/// Tiles in a row of a cache block, at most.
constexpr int64_t kMaxBlock = 256;
/// From so many rows on m is not short: with two vectors they are as many sums as there are
/// registers for.
constexpr int64_t kLongRows = 12;
/// From so many steps on a panel of B and the rows of A beside it leave the caches before they are
/// used again.
constexpr int64_t kLongReduction = 2048;
/// Cuts of a reduction by instructions for whole matrices that are not shorter than they must be.
constexpr int64_t kShortestCut = 256;
/// Statements of a tile, about one vector operation each, before which its operands are asked for:
/// some 250 cycles, which hides the second level cache and most of the third.
constexpr int64_t kPrefetchAhead = 512;
/// Steps of the reduction in one round of its loop, at most.
constexpr int64_t kMaxStep = 8;

class RegisterTiling final : public Rule {
public:
  explicit RegisterTiling(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "register_tiling"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    std::vector<Schedule> results{schedule};
    // A transposing copy before the product: packing reads through it, or it stays and nothing is
    // packed.
    const std::optional<Schedule> through = without_transposed_copies(schedule, block);
    add_tiles(schedule, block, through.has_value(), results);
    if (through)
      add_tiles(*through, block, false, results);
    return results;
  }

private:
  enum class Packing : uint8_t {
    kNone,
    kB,        ///< all of B, ahead of the product
    kBlockOfB, ///< the columns of B that the outermost block needs, just before it
    kCutOfB,   ///< a part of these columns at a time: the reduction is cut, too
    kBoth,     ///< all of A and B, ahead of the product
    // Only where one of them is constant, so that packing all of it costs nothing:
    kA,       ///< all of A
    kCutBoth, ///< all of A and B, and the reduction is cut
  };
  /// How a tile's rows and the steps of its reduction are taken.
  enum class Shape : uint8_t {
    kRows,    ///< of m, steps of k
    kSquare,  ///< all of m and some of the axis before it
    kSliding, ///< of m, a whole window: its steps share what they read of A
  };
  static bool packs_a(Packing packing) {
    return packing == Packing::kBoth || packing == Packing::kA || packing == Packing::kCutBoth;
  }
  static bool packs_b(Packing packing) {
    return packing != Packing::kNone && packing != Packing::kA;
  }
  static bool cuts(Packing packing) {
    return packing == Packing::kCutOfB || packing == Packing::kCutBoth;
  }

  /// Whether a constant operand is read there.
  static bool is_constant(const Schedule& schedule, const BlockFacts& facts, size_t read) {
    const auto function = schedule.module()->functions.front().function.as_ref<PrimFuncNode>();
    const std::vector<size_t> constants =
        function ? constant_operands(function) : std::vector<size_t>();
    return std::any_of(constants.begin(), constants.end(), [&](size_t position) {
      return function->params[position].buffer == facts.block->reads[read].buffer;
    });
  }

  static std::optional<Product> product_of(const Schedule& schedule, const BlockFacts& facts) {
    std::optional<Product> product = as_product(facts);
    if (product) {
      product->a_constant = is_constant(schedule, facts, product->a_read);
      product->b_constant = is_constant(schedule, facts, product->b_read);
    }
    return product;
  }

  /// A copy whose rows are read as columns.
  static bool transposes(const BlockFacts& facts) {
    if (!facts.trivially_bound || facts.has_reduction || facts.store == nullptr ||
        !facts.block->annotations.empty())
      return false;
    const auto* load = facts.store->value.as<BufferLoad>();
    if (load == nullptr || load->indices.empty())
      return false;
    const Node* last = facts.block->iter_vars.back().var.get();
    for (size_t d = 0; d + 1 < load->indices.size(); ++d)
      if (static_cast<const Node*>(load->indices[d].get()) == last)
        return true;
    return false;
  }

  static std::optional<Schedule> without_transposed_copies(const Schedule& schedule,
                                                           BlockRv block) {
    if (!as_product(block_facts(schedule, block)))
      return std::nullopt;
    Schedule inlined = schedule;
    inlined.set_render_errors(false);
    const auto producers = inlined.get_producers(block);
    bool any = false;
    if (producers)
      for (const BlockRv producer : *producers)
        any |= transposes(block_facts(inlined, producer)) && inlined.compute_inline(producer);
    return any ? std::optional(std::move(inlined)) : std::nullopt;
  }

  void add_tiles(const Schedule& schedule, BlockRv block, bool only_unpacked,
                 std::vector<Schedule>& results) const {
    const BlockFacts facts = block_facts(schedule, block);
    const std::optional<Product> product = product_of(schedule, facts);
    if (!product)
      return;
    const int64_t lanes = machine_.vector_bits / 8 / facts.store->buffer->dtype.element_bytes();
    const int64_t n_extent = facts.extents[product->n];
    if (lanes < 2 || n_extent < lanes)
      return;
    if (!only_unpacked) {
      std::vector<Schedule> narrow = by_matrix_instruction(schedule, block, facts, *product);
      if (!narrow.empty()) {
        results.insert(results.end(), narrow.begin(), narrow.end());
        return;
      }
      narrow = by_instruction(schedule, block, facts, *product);
      std::vector<Schedule> converted = by_conversion(schedule, block, facts, *product, lanes);
      narrow.insert(narrow.end(), converted.begin(), converted.end());
      if (narrow.empty())
        narrow = by_offset(schedule, block, facts, *product);
      if (!narrow.empty()) {
        results.insert(results.end(), narrow.begin(), narrow.end());
        return;
      }
    }
    std::vector<Schedule> plain = tiles(schedule, block, facts, *product, lanes, only_unpacked, {});
    results.insert(results.end(), plain.begin(), plain.end());
  }

  /// Whether the second level cache would overflow with all of the reduction, and it has one axis.
  static bool may_cut_reduction(const BlockFacts& facts, const Product& product) {
    for (size_t axis = 0; axis < facts.classes.size(); ++axis)
      if (facts.classes[axis] == LoopClass::kReduce && axis != product.k && facts.extents[axis] > 1)
        return false;
    return facts.extents[product.k] >= kLongReduction && facts.extents[product.m] >= kLongRows;
  }

  /// Blocks that make an operand in the type of the sums; none where it has it already.
  struct Converted {
    std::optional<BlockRv> a;
    std::optional<BlockRv> b;
  };

  /// Every width, packing and choice of rows, without instructions of their own.
  std::vector<Schedule> tiles(const Schedule& schedule, BlockRv block, const BlockFacts& facts,
                              const Product& product, int64_t lanes, bool only_unpacked,
                              const Converted& converted) const {
    const int64_t m_extent = facts.extents[product.m];
    const int64_t n_extent = facts.extents[product.n];
    std::vector<Schedule> results;
    std::vector<int64_t> widths;
    const auto divides = [&](int64_t vectors) { return n_extent % (vectors * lanes) == 0; };
    for (const int64_t vectors : {1, 2, 3, 4, 6})
      if (divides(vectors) || (n_extent % lanes != 0 && (vectors - 1) * lanes < n_extent))
        widths.push_back(vectors); // a width that leaves a rest is no use beside one that does not
    for (const int64_t vectors : widths) {
      for (const Shape shape : {Shape::kRows, Shape::kSquare, Shape::kSliding}) {
        const bool square = shape == Shape::kSquare;
        const bool sliding = shape == Shape::kSliding;
        if ((square && (!product.m2 || m_extent >= kLongRows)) || (sliding && !product.window))
          continue;
        std::vector<int64_t> rows = square
                                        ? row_choices(vectors, m_extent, facts.extents[*product.m2])
                                    : sliding ? sliding_rows(vectors, m_extent)
                                              : row_choices(vectors, 1, m_extent);
        if (square)
          std::erase(rows, 1); // that is all of m
        if (rows.empty())
          continue;
        for (const Packing packing :
             {Packing::kNone, Packing::kB, Packing::kBlockOfB, Packing::kCutOfB, Packing::kBoth,
              Packing::kA, Packing::kCutBoth}) {
          if ((packs_a(packing) && (!product.a_dimension || square)) ||
              (cuts(packing) && (square || sliding || !may_cut_reduction(facts, product))) ||
              (!packs_b(packing) && !product.contiguous) ||
              (packing == Packing::kBlockOfB && product.b_constant) ||
              (packing == Packing::kA && !product.a_constant) ||
              (packing == Packing::kCutBoth && !product.b_constant) ||
              (packing != Packing::kNone && only_unpacked))
            continue;
          const size_t most_outside =
              packing == Packing::kB ? axes_outside(facts, product, shape, vectors * lanes) : 0;
          for (const size_t outside : std::set<size_t>{0, most_outside}) {
            Schedule tiled = schedule;
            tiled.set_render_errors(false);
            if (tile(tiled, block, facts, product, shape, rows, vectors, lanes, packing, nullptr,
                     converted, outside))
              results.push_back(std::move(tiled));
          }
        }
      }
    }
    return results;
  }

  /// How many of the first reduce axes are to run around the tiles, so that what the others need of
  /// a panel of B stays in L1 from tile to tile; 0 where it does anyhow, or would not even then, or
  /// so little of the reduction would be left that loading and storing the sums takes longer.
  size_t axes_outside(const BlockFacts& facts, const Product& product, Shape shape,
                      int64_t width) const {
    constexpr int64_t kShortest = 64; // steps left: a sum is loaded and stored in the time of four
    const size_t k = shape == Shape::kSliding ? *product.window : product.k;
    const int64_t row_bytes = width * facts.store->buffer->dtype.element_bytes();
    const auto fits = [&](int64_t steps) { return steps * row_bytes <= machine_.l1_bytes / 8 * 7; };
    int64_t left = facts.reduce_extent;
    size_t axes = 0;
    for (size_t axis = 0; axis < facts.classes.size() && !fits(left); ++axis)
      if (facts.classes[axis] == LoopClass::kReduce && axis != k) {
        left /= facts.extents[axis];
        ++axes;
      }
    return fits(left) && left >= kShortest ? axes : 0;
  }

  /// 16-bit floats made float32 ahead, or while they are packed.
  std::vector<Schedule> by_conversion(const Schedule& schedule, BlockRv block,
                                      const BlockFacts& facts, const Product& product,
                                      int64_t lanes) const {
    const auto is_half = [&](size_t read) {
      const DataType dtype = facts.block->reads[read].buffer->dtype;
      return dtype.is_floating() && dtype.bits == 16;
    };
    if (facts.store->buffer->dtype != DataType::float32() ||
        !(is_half(product.a_read) || is_half(product.b_read)))
      return {};
    Schedule ahead = schedule;
    ahead.set_render_errors(false);
    Converted converted;
    for (const bool b : {false, true}) {
      const size_t read = b ? product.b_read : product.a_read;
      if (!is_half(read))
        continue;
      const auto made = ahead.convert_operand(block, static_cast<int64_t>(read), "float32");
      if (!made)
        return {};
      (b ? converted.b : converted.a) = *made;
    }
    const BlockFacts now = block_facts(ahead, block);
    const std::optional<Product> same = product_of(ahead, now);
    return same ? tiles(ahead, block, now, *same, lanes, false, converted)
                : std::vector<Schedule>();
  }

  /// A conversion becomes a part of the copy that packs, or is a pass in vectors of its own.
  static Result<void> place_conversion(Schedule& schedule, const std::optional<BlockRv>& made,
                                       bool packed) {
    if (!made)
      return {};
    if (packed)
      return schedule.compute_inline(*made);
    return copy_in_vectors(schedule, *made);
  }

  /// A pass over a whole operand; of odd length it is left to other rules.
  static Result<void> copy_in_vectors(Schedule& schedule, BlockRv copy) {
    constexpr int64_t kRun = 64;
    const BlockFacts facts = block_facts(schedule, copy);
    if (facts.loops.empty() || facts.extents.back() % kRun != 0)
      return {};
    TEMPER_TRY(loops, schedule.get_loops(copy));
    TEMPER_TRY(parts, schedule.split(loops.back(), {std::nullopt, kRun}));
    TEMPER_TRY_VOID(schedule.vectorize(parts[1]));
    return schedule.annotate(copy, kScheduled, 1);
  }

  /// Whether the operands can be brought into the instruction's groups.
  static bool can_group(const BlockFacts& facts, const Product& product,
                        const DotInstruction& instruction) {
    const BufferRegion& a = facts.block->reads[product.a_read];
    const BufferRegion& b = facts.block->reads[product.b_read];
    // Groups of A must lie together; rows of B become groups by an entry of their own.
    const bool a_grouped = product.a_reduce && *product.a_reduce + 1 == a.region.size();
    const bool b_rows = product.b_reduce && product.contiguous &&
                        *product.b_reduce + 2 == b.region.size() && !instruction.interleave.empty();
    const bool b_grouped = product.b_reduce && *product.b_reduce + 1 == b.region.size();
    return a_grouped && (b_rows || b_grouped) &&
           facts.extents[product.k] % instruction.group == 0 &&
           facts.extents[product.n] % instruction.lanes == 0;
  }

  /// Bytes with a sign where the instruction wants them without: A + 128, and the result corrected.
  std::vector<Schedule> by_offset(const Schedule& schedule, BlockRv block, const BlockFacts& facts,
                                  const Product& product) const {
    const BufferRegion& a = facts.block->reads[product.a_read];
    if (a.buffer->dtype != DataType::integer(8) ||
        dot_instructions(machine_.features, DataType::uint(8),
                         facts.block->reads[product.b_read].buffer->dtype,
                         facts.store->buffer->dtype)
            .empty())
      return {};
    Schedule offset = schedule;
    offset.set_render_errors(false);
    const auto made =
        offset.offset_operand(block, static_cast<int64_t>(product.a_read), 128, "uint8");
    if (!made || !schedule_offset(offset, (*made)[0], (*made)[1]))
      return {};
    const BlockFacts now = block_facts(offset, block);
    const std::optional<Product> same = product_of(offset, now);
    if (!same)
      return {};
    return by_instruction(offset, block, now, *same);
  }

  /// The pass over A, and the columns' sums of B in vectors.
  static Result<void> schedule_offset(Schedule& schedule, BlockRv operand, BlockRv sums) {
    constexpr int64_t kLanes = 16;
    TEMPER_TRY_VOID(copy_in_vectors(schedule, operand));
    const BlockFacts facts = block_facts(schedule, sums);
    TEMPER_TRY(loops, schedule.get_loops(sums));
    const bool columns = loops.size() == 2 && facts.classes[0] == LoopClass::kSpatial &&
                         facts.classes[1] == LoopClass::kReduce &&
                         facts.extents[0] % (4 * kLanes) == 0;
    if (!columns)
      return {};
    TEMPER_TRY(parts, schedule.split(loops[0], {std::nullopt, 4, kLanes}));
    TEMPER_TRY_VOID(schedule.reorder({parts[0], loops[1], parts[1], parts[2]}));
    TEMPER_TRY_VOID(schedule.vectorize(parts[2]));
    TEMPER_TRY_VOID(schedule.annotate(sums, kRegisterTile, 1));
    return schedule.annotate(sums, kScheduled, 1);
  }

  /// Every width and packing with the first instruction for these types that can compute them.
  std::vector<Schedule> by_instruction(const Schedule& schedule, BlockRv block,
                                       const BlockFacts& facts, const Product& product) const {
    const auto& reads = facts.block->reads;
    std::vector<Schedule> results;
    for (const DotInstruction& instruction :
         dot_instructions(machine_.features, reads[product.a_read].buffer->dtype,
                          reads[product.b_read].buffer->dtype, facts.store->buffer->dtype)) {
      if (!can_group(facts, product, instruction))
        continue;
      for (const int64_t vectors : {1, 2, 3, 4, 6}) {
        if (facts.extents[product.n] % (vectors * instruction.lanes) != 0)
          continue;
        const std::vector<int64_t> rows = row_choices(vectors, 1, facts.extents[product.m]);
        if (rows.empty())
          continue;
        for (const Packing packing : {Packing::kB, Packing::kBlockOfB, Packing::kBoth}) {
          if ((packing == Packing::kBoth && !product.a_dimension) ||
              (packing == Packing::kBlockOfB && product.b_constant))
            continue;
          Schedule tiled = schedule;
          tiled.set_render_errors(false);
          if (tile(tiled, block, facts, product, Shape::kRows, rows, vectors, instruction.lanes,
                   packing, &instruction))
            results.push_back(std::move(tiled));
        }
      }
      if (!results.empty())
        break;
    }
    return results;
  }

  static constexpr int64_t kTileRows = 16;      ///< of a matrix instruction, whether full or not
  static constexpr int64_t kFewestTileRows = 4; ///< below, vectors do as well

  /// Tiles of 16 rows that the output takes, so many rows at a time.
  static int64_t tiles_of(int64_t extent, int64_t rows) {
    return extent / rows * ((rows + kTileRows - 1) / kTileRows);
  }
  /// Up to 32 rows that divide the output's, in as few tiles as any; 0: none do.
  static int64_t uneven_rows(int64_t extent) {
    int64_t best = 0;
    for (int64_t rows = 2 * kTileRows; rows >= kFewestTileRows; --rows)
      if (extent % rows == 0 && (best == 0 || tiles_of(extent, rows) < tiles_of(extent, best)))
        best = rows;
    return best;
  }

  /// Zeros after the rows of A, up to whole tiles, where these are fewer tiles than any rows that
  /// divide the output's: 40 rows are three, and four as twice 20; nothing divides 37. A is copied;
  /// of the sums, what was asked for is copied out as soon as they are there.
  std::vector<Schedule> by_padded_rows(const Schedule& schedule, BlockRv block,
                                       const BlockFacts& facts, const Product& product) const {
    const int64_t extent = facts.extents[product.m];
    const int64_t uneven = uneven_rows(extent);
    if (extent < kFewestTileRows ||
        (uneven > 0 && tiles_of(extent, uneven) <= (extent + kTileRows - 1) / kTileRows))
      return {};
    Schedule padded = schedule;
    padded.set_render_errors(false);
    Value::List multiples(facts.extents.size(), Value(int64_t{1}));
    multiples[product.m] = kTileRows;
    if (!padded.call("PadEinsum", {block}, {Value(std::move(multiples))}))
      return {};
    const BlockFacts now = block_facts(padded, block);
    const std::optional<Product> same = product_of(padded, now);
    const auto producers = padded.get_producers(block);
    if (!same || !producers)
      return {};
    for (const BlockRv producer : *producers) {
      const BlockFacts copy = block_facts(padded, producer);
      if (copy.store != nullptr && copy.store->buffer == now.block->reads[same->a_read].buffer &&
          !copy_in_vectors(padded, producer))
        return {};
    }
    return by_matrix_instruction(padded, block, now, *same);
  }

  /// The same instructions where the listed numbers of rows do not divide the output's: of so many
  /// that do, in as few tiles as any.
  static std::vector<MatrixInstruction> of_uneven_rows(std::vector<MatrixInstruction> listed,
                                                       int64_t extent) {
    const int64_t best = uneven_rows(extent);
    std::vector<MatrixInstruction> uneven;
    for (const MatrixInstruction& instruction : listed)
      if (best > 0 && instruction.rows == kTileRows)
        if (auto other = with_rows(instruction, best))
          uneven.push_back(*std::move(other));
    return uneven;
  }

  /// Whole matrices of sums in one instruction's registers: every depth and packing, of the most
  /// rows that divide the output's (each row more reads B less often). A is read as it is.
  std::vector<Schedule> by_matrix_instruction(const Schedule& schedule, BlockRv block,
                                              const BlockFacts& facts,
                                              const Product& product) const {
    const auto& reads = facts.block->reads;
    std::vector<MatrixInstruction> fitting =
        matrix_instructions(machine_.features, reads[product.a_read].buffer->dtype,
                            reads[product.b_read].buffer->dtype, facts.store->buffer->dtype);
    std::erase_if(fitting, [&](const MatrixInstruction& instruction) {
      return !can_group(facts, product, instruction.groups) ||
             facts.extents[product.n] % instruction.columns != 0 ||
             facts.extents[product.k] % instruction.depth != 0;
    });
    const int64_t m_extent = facts.extents[product.m];
    const auto divides = [&](const MatrixInstruction& instruction) {
      return m_extent % instruction.rows == 0;
    };
    std::vector<Schedule> results;
    if (!fitting.empty() && std::none_of(fitting.begin(), fitting.end(), divides)) {
      results = by_padded_rows(schedule, block, facts, product);
      fitting = of_uneven_rows(std::move(fitting), m_extent);
    }
    std::erase_if(fitting, [&](const MatrixInstruction& one) { return !divides(one); });
    int64_t deepest = 0;
    for (const MatrixInstruction& instruction : fitting)
      deepest = std::max(deepest, instruction.depth);
    int64_t rows = 0;
    for (const MatrixInstruction& instruction : fitting) {
      // Each time through a cut the sums are loaded and stored: short ones are for want of longer.
      if (instruction.rows < rows || instruction.depth < std::min(deepest, kShortestCut))
        continue;
      for (const Packing packing : {Packing::kB, Packing::kBlockOfB, Packing::kCutOfB}) {
        if ((cuts(packing) && facts.extents[product.k] == instruction.depth) ||
            (packing == Packing::kBlockOfB && product.b_constant))
          continue;
        Schedule tiled = schedule;
        tiled.set_render_errors(false);
        if (matrix_tile(tiled, block, facts, product, instruction, packing)) {
          rows = instruction.rows;
          results.push_back(std::move(tiled));
        }
      }
    }
    return results;
  }

  Result<void> matrix_tile(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                           const Product& product, const MatrixInstruction& instruction,
                           Packing packing) const {
    const int64_t group = instruction.groups.group;
    TEMPER_TRY_VOID(schedule.annotate(block, kRegisterTile, 1));
    TEMPER_TRY(consumer, only_elementwise_consumer(schedule, block));
    TEMPER_TRY(loops, schedule.get_loops(block));
    TEMPER_TRY(m_parts, schedule.split(loops[product.m], {std::nullopt, instruction.rows}));
    TEMPER_TRY(n_parts, schedule.split(loops[product.n], {std::nullopt, instruction.columns}));
    TEMPER_TRY(k_parts,
               schedule.split(loops[product.k], {std::nullopt, instruction.depth / group, group}));
    TEMPER_TRY(m_outer, in_blocks(schedule, m_parts[0], kMaxBlock));
    TEMPER_TRY(n_outer, in_blocks(schedule, n_parts[0], kMaxBlock));
    std::vector<LoopRv> order;
    std::vector<LoopRv> reduce;
    for (size_t axis = 0; axis < loops.size(); ++axis)
      if (axis != product.m && axis != product.n && axis != product.k)
        (facts.classes[axis] == LoopClass::kReduce ? reduce : order).push_back(loops[axis]);
    order.push_back(n_outer[0]);
    std::optional<LoopRv> place;
    if (packing != Packing::kB)
      place = n_outer[0];
    if (cuts(packing)) {
      place = k_parts[0];
      order.push_back(k_parts[0]);
    }
    order.insert(order.end(), {m_outer[0], n_outer[1], m_outer[1]});
    order.insert(order.end(), reduce.begin(), reduce.end());
    if (!cuts(packing))
      order.push_back(k_parts[0]);
    order.insert(order.end(), {m_parts[1], n_parts[1], k_parts[1], k_parts[2]});
    TEMPER_TRY_VOID(schedule.reorder(order));
    TEMPER_TRY_VOID(pack_groups(schedule, block, product.b_read, product.b_dimension,
                                *product.b_reduce, instruction.columns, instruction.groups,
                                product.contiguous, product.b_constant ? std::nullopt : place,
                                product.b_constant));
    if (consumer)
      TEMPER_TRY_VOID(move_under_tile(schedule, *consumer, m_outer[1]));
    TEMPER_TRY_VOID(
        init_in_vectors(schedule, block, cuts(packing) || reduce.empty() ? k_parts[0] : reduce[0]));
    TEMPER_TRY_VOID(tensorize(schedule, m_parts[1], instruction.name));
    return {};
  }

  /// Rows of a tile of `vectors` vectors, as multiples of `unit`: as many as registers allow beside
  /// `vectors` for B and one for the broadcast of A, as many as lowering takes (a spill or two),
  /// and the largest smaller ones that divide `extent`.
  std::vector<int64_t> row_choices(int64_t vectors, int64_t unit, int64_t extent) const {
    const int64_t registers = machine_.vector_registers;
    const int64_t most = std::min((registers >= 32 ? 28 : 12) / (vectors * unit), extent);
    const int64_t fitting = std::min((registers - 1 - vectors) / (vectors * unit), extent);
    std::vector<int64_t> rows;
    for (int64_t row = most; row >= 1 && rows.size() < 4; --row)
      if (row == most || row == fitting || extent % row == 0)
        rows.push_back(row);
    return rows;
  }

  /// Rows where a whole window is unrolled: what its steps share stays in registers, too, that is
  /// a value for each row. Two too many are folded into their uses.
  std::vector<int64_t> sliding_rows(int64_t vectors, int64_t extent) const {
    constexpr int64_t kFolded = 2;
    const int64_t most =
        std::min((machine_.vector_registers + kFolded - vectors) / (vectors + 1), extent);
    std::vector<int64_t> rows;
    for (int64_t row = most; row >= 2 && rows.size() < 3; --row)
      if (row == most || extent % row == 0)
        rows.push_back(row);
    return rows;
  }

  Result<void> tile(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                    const Product& product, Shape shape, const std::vector<int64_t>& rows,
                    int64_t vectors, int64_t lanes, Packing packing,
                    const DotInstruction* instruction = nullptr, const Converted& converted = {},
                    size_t outside = 0) const {
    const int64_t group = instruction != nullptr ? instruction->group : 1;
    const bool square = shape == Shape::kSquare;
    const bool sliding = shape == Shape::kSliding;
    const size_t m = square ? *product.m2 : product.m;      // the axis that is cut into rows
    const size_t k = sliding ? *product.window : product.k; // the reduce axis that runs innermost
    TEMPER_TRY_VOID(schedule.annotate(block, kRegisterTile, 1));
    TEMPER_TRY(consumer, only_elementwise_consumer(schedule, block));
    TEMPER_TRY(loops, schedule.get_loops(block));
    TEMPER_TRY(mr, sample_evenly(schedule, rows));
    TEMPER_TRY(m_parts, schedule.split(loops[m], {std::nullopt, mr}));
    TEMPER_TRY(n_parts, schedule.split(loops[product.n], {std::nullopt, vectors, lanes}));
    TEMPER_TRY(m_outer, in_blocks(schedule, m_parts[0], kMaxBlock));
    TEMPER_TRY(n_outer, in_blocks(schedule, n_parts[0], kMaxBlock));
    const int64_t k_extent = facts.extents[k] / group;
    // A whole window, by classes of the steps that share what they read.
    const int64_t classes = sliding ? product.window_period : 1;
    Operand step = (k_extent + classes - 1) / classes;
    if (!sliding) {
      std::vector<int64_t> steps;
      for (const int64_t one : {int64_t{1}, int64_t{2}, int64_t{4}, kMaxStep})
        if (k_extent % one == 0)
          steps.push_back(one);
      if (k_extent < kMaxStep && k_extent != steps.back())
        steps.push_back(k_extent); // the three colours of an image
      TEMPER_TRY(sampled, sample_evenly(schedule, steps));
      step = sampled;
    }
    std::vector<Operand> k_factors{std::nullopt, step};
    if (group > 1)
      k_factors.emplace_back(group);
    if (classes > 1)
      k_factors.emplace_back(classes);
    TEMPER_TRY(k_parts, schedule.split(loops[k], std::move(k_factors)));

    std::vector<LoopRv> order;
    std::vector<LoopRv> reduce;
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      if (axis == m || axis == product.m || axis == product.n || axis == k)
        continue;
      (facts.classes[axis] == LoopClass::kReduce ? reduce : order).push_back(loops[axis]);
    }
    LoopRv k_loop = k_parts[0];
    order.push_back(n_outer[0]);
    std::optional<LoopRv> place;
    if (packing == Packing::kBlockOfB)
      place = n_outer[0];
    if (cuts(packing)) {
      TEMPER_TRY(k_outer, in_blocks(schedule, k_parts[0], kMaxPackedRows));
      place = k_outer[0];
      k_loop = k_outer[1];
      order.push_back(k_outer[0]);
    }
    const auto inside = reduce.begin() + static_cast<std::ptrdiff_t>(outside);
    order.insert(order.end(), reduce.begin(), inside);
    order.insert(order.end(), {m_outer[0], n_outer[1], m_outer[1]});
    order.insert(order.end(), inside, reduce.end());
    order.push_back(k_loop);
    if (classes > 1)
      order.push_back(k_parts[2]);
    order.insert(order.end(), {k_parts[1], m_parts[1]});
    if (square)
      order.push_back(loops[product.m]);
    order.insert(order.end(), {n_parts[1], n_parts[2]});
    if (group > 1)
      order.push_back(k_parts[2]);
    TEMPER_TRY_VOID(schedule.reorder(order));
    TEMPER_TRY_VOID(schedule.unroll(k_parts[1]));
    if (classes > 1)
      TEMPER_TRY_VOID(schedule.unroll(k_parts[2]));
    if (instruction == nullptr)
      TEMPER_TRY_VOID(schedule.vectorize(n_parts[2]));
    // What stays in L1 is only asked for in vain. What comes from L2 the processor may find in time
    // by itself: then the hints cost the ports 3 to 6 %.
    if (outside == 0 &&
        facts.reduce_extent * vectors * lanes * facts.store->buffer->dtype.element_bytes() >
            machine_.l1_bytes) {
      TEMPER_TRY(ahead, sample_evenly(schedule, {kPrefetchAhead, 0}));
      // The window's own loop runs once.
      TEMPER_TRY_VOID(schedule.annotate(sliding && !reduce.empty() ? reduce.back() : k_loop,
                                        ir::kPrefetch, ahead));
    }

    if (instruction != nullptr) {
      TEMPER_TRY_VOID(pack_groups(schedule, block, product.b_read, product.b_dimension,
                                  *product.b_reduce, vectors * lanes, *instruction,
                                  product.contiguous, product.b_constant ? std::nullopt : place,
                                  product.b_constant));
      if (packing == Packing::kBoth)
        TEMPER_TRY_VOID(pack_groups(schedule, block, product.a_read, *product.a_dimension,
                                    *product.a_reduce, mr, *instruction, false, {},
                                    product.a_constant));
    } else {
      if (packs_b(packing)) {
        TEMPER_TRY_VOID(pack(schedule, block, product.b_read, product.b_dimension, vectors * lanes,
                             product.contiguous, product.b_constant ? std::nullopt : place,
                             product.b_constant));
      }
      if (packs_a(packing))
        TEMPER_TRY_VOID(pack(schedule, block, product.a_read, *product.a_dimension, mr, false, {},
                             product.a_constant));
      TEMPER_TRY_VOID(place_conversion(schedule, converted.a, packs_a(packing)));
      TEMPER_TRY_VOID(place_conversion(schedule, converted.b, packs_b(packing)));
    }
    if (consumer) // not before all of a sum is there
      TEMPER_TRY_VOID(move_under_tile(schedule, *consumer, outside > 0 ? n_outer[0] : m_outer[1]));
    if (outside > 0) {
      TEMPER_TRY_VOID(init_in_vectors(schedule, block, reduce[0]));
      bool skips = false;
      for (auto loop = reduce.begin(); loop != inside; ++loop)
        skips |= schedule.call("SkipPadding", {block, *loop}).has_value();
      if (!skips)
        return Error(ErrorCode::kIllegal, "nothing is padding for the whole of a step");
    }
    if (instruction != nullptr) {
      TEMPER_TRY_VOID(init_in_vectors(schedule, block, reduce.empty() ? k_loop : reduce[0]));
      TEMPER_TRY_VOID(tensorize(schedule, n_parts[2], instruction->name));
    }
    return {};
  }

  /// The loop as two, the inner one of a sampled extent of at most `most`.
  static Result<std::vector<LoopRv>> in_blocks(Schedule& schedule, LoopRv loop, int64_t most) {
    TEMPER_TRY(factors, schedule.sample_perfect_tile(loop, 2, most));
    return schedule.split(loop, {factors[0], factors[1]});
  }

  /// The rows of a copy in blocks: how a copy runs ahead is nothing to search for.
  static Result<std::vector<LoopRv>> rows_in_blocks(Schedule& schedule, LoopRv loop, int64_t extent,
                                                    bool ahead) {
    constexpr int64_t kRows = 64;
    if (!ahead)
      return in_blocks(schedule, loop, kMaxPackedRows);
    int64_t rows = std::clamp<int64_t>(extent, 1, kRows);
    while (extent % rows != 0)
      --rows;
    return schedule.split(loop, {std::nullopt, rows});
  }

  /// What is below the loop as one instruction, in a block that other rules leave alone.
  static Result<BlockRv> tensorize(Schedule& schedule, LoopRv loop, const std::string& name) {
    TEMPER_TRY(made, schedule.blockize(loop));
    TEMPER_TRY_VOID(schedule.tensorize(made, name));
    TEMPER_TRY_VOID(schedule.annotate(made, kRegisterTile, 1));
    TEMPER_TRY_VOID(schedule.annotate(made, kScheduled, 1));
    return made;
  }

  /// As pack(), into panels of groups of the reduction: [.. // width, .. // group .., of the
  /// panel]. `rows`: a group's elements lie in as many rows, which the instruction's partner
  /// interleaves; else they lie together and are moved as one. `ahead`: as for pack().
  Result<void> pack_groups(Schedule& schedule, BlockRv block, size_t read, size_t dimension,
                           size_t reduce, const Operand& width, const DotInstruction& instruction,
                           bool rows, const std::optional<LoopRv>& place, bool ahead) const {
    TEMPER_TRY(packed, schedule.cache_read(block, static_cast<int64_t>(read), "global", {block}));
    if (place)
      TEMPER_TRY_VOID(schedule.compute_at(packed, *place, true));
    const BlockFacts facts = block_facts(schedule, packed);
    const size_t rank = facts.block->writes[0].region.size();
    std::vector<std::string> names;
    for (size_t d = 0; d < rank; ++d)
      names.push_back(fmt::format("i{}", d));
    const std::string inputs = fmt::format("{}", fmt::join(names, ", "));
    const std::string along = names[dimension];
    const std::string over = names[reduce];
    names[reduce] += " // group";
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(dimension));
    TEMPER_TRY_VOID(schedule.transform_layout(
        packed, 0, "write",
        fmt::format("lambda {0}, width, group: ({1} // width, {2}, {1} % width * group + {3} % "
                    "group)",
                    inputs, along, fmt::join(names, ", "), over),
        {width, instruction.group}));
    TEMPER_TRY(all_loops, schedule.get_loops(packed));
    const std::vector<LoopRv> loops(all_loops.end() - static_cast<std::ptrdiff_t>(rank),
                                    all_loops.end());
    TEMPER_TRY(parts, schedule.split(loops[dimension], {std::nullopt, width}));
    TEMPER_TRY(groups, schedule.split(loops[reduce], {std::nullopt, instruction.group}));
    // Panel by panel reads across rows, row by row writes across panels; blocks lie between.
    TEMPER_TRY(row_parts, rows_in_blocks(schedule, groups[0],
                                         facts.extents[facts.extents.size() - rank + reduce] /
                                             instruction.group,
                                         ahead));
    std::vector<LoopRv> order;
    for (size_t d = 0; d < rank; ++d)
      if (d != dimension && d != reduce)
        order.push_back(loops[d]);
    order.insert(order.end(), {row_parts[0], parts[0], row_parts[1]});
    if (rows) {
      TEMPER_TRY(vectors, schedule.split(parts[1], {std::nullopt, instruction.lanes}));
      order.insert(order.end(), {vectors[0], vectors[1], groups[1]});
      TEMPER_TRY_VOID(schedule.reorder(order));
      TEMPER_TRY_VOID(schedule.unroll(vectors[0]));
      TEMPER_TRY_VOID(schedule.annotate(packed, kScheduled, 1));
      TEMPER_TRY(made, tensorize(schedule, vectors[1], instruction.interleave));
      if (ahead)
        (void)schedule.pack_ahead(made);
      return {};
    }
    order.insert(order.end(), {parts[1], groups[1]});
    TEMPER_TRY_VOID(schedule.reorder(order));
    TEMPER_TRY_VOID(schedule.unroll(parts[1]));
    TEMPER_TRY_VOID(schedule.vectorize(groups[1]));
    if (ahead)
      (void)schedule.pack_ahead(packed);
    return schedule.annotate(packed, kScheduled, 1);
  }

  /// Copies a read buffer, or what of it one iteration of `place` reads, into panels of `width`
  /// elements of one dimension, which becomes the last. `vector`: that is contiguous in the source.
  /// `ahead`: of the kernel's calls, where that is possible.
  Result<void> pack(Schedule& schedule, BlockRv block, size_t read, size_t dimension,
                    const Operand& width, bool vector, const std::optional<LoopRv>& place,
                    bool ahead) const {
    TEMPER_TRY(packed, schedule.cache_read(block, static_cast<int64_t>(read), "global"));
    if (place)
      TEMPER_TRY_VOID(schedule.compute_at(packed, *place, true));
    const BlockFacts facts = block_facts(schedule, packed);
    const size_t rank = facts.block->writes[0].region.size();
    std::vector<std::string> names;
    for (size_t d = 0; d < rank; ++d)
      names.push_back(fmt::format("i{}", d));
    const std::string inputs = fmt::format("{}", fmt::join(names, ", "));
    const std::string along = names[dimension];
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(dimension));
    TEMPER_TRY_VOID(
        schedule.transform_layout(packed, 0, "write",
                                  fmt::format("lambda {}, width: ({} // width, {}, {} % width)",
                                              inputs, along, fmt::join(names, ", "), along),
                                  {width}));
    TEMPER_TRY(all_loops, schedule.get_loops(packed));
    const std::vector<LoopRv> loops(all_loops.end() - static_cast<std::ptrdiff_t>(rank),
                                    all_loops.end());
    TEMPER_TRY(parts, schedule.split(loops[dimension], {std::nullopt, width}));
    // Panel by panel reads across rows, row by row writes across panels; blocks lie between.
    const size_t along_rows = dimension + 1 == rank ? rank - 2 : rank - 1;
    std::vector<LoopRv> row_parts;
    if (const std::vector<int64_t> sides = transposed_rows(facts.extents, loops.size(), along_rows);
        !vector && !sides.empty()) {
      // Rows become columns: as many of each as lowering transposes in registers, or more.
      Operand side = sides.front();
      if (!ahead) {
        TEMPER_TRY(sampled, sample_evenly(schedule, sides));
        side = sampled;
      }
      TEMPER_TRY(split, schedule.split(loops[along_rows], {std::nullopt, side}));
      row_parts = split;
    } else {
      TEMPER_TRY(split,
                 rows_in_blocks(schedule, loops[along_rows],
                                facts.extents[facts.extents.size() - rank + along_rows], ahead));
      row_parts = split;
    }
    std::vector<LoopRv> order;
    for (size_t d = 0; d < rank; ++d)
      if (d != dimension && d != along_rows)
        order.push_back(loops[d]);
    order.insert(order.end(), {row_parts[0], parts[0], row_parts[1], parts[1]});
    TEMPER_TRY_VOID(schedule.reorder(order));
    if (vector) {
      TEMPER_TRY_VOID(schedule.vectorize(parts[1]));
    } else {
      TEMPER_TRY_VOID(schedule.unroll(parts[1]));
    }
    // Somebody else who reads the operand as it is keeps the copy in the kernel.
    if (ahead)
      (void)schedule.pack_ahead(packed);
    return schedule.annotate(packed, kScheduled, 1);
  }

  /// How many rows of a packed copy may be transposed at a time; empty when none divides them.
  std::vector<int64_t> transposed_rows(const std::vector<int64_t>& extents, size_t rank,
                                       size_t along_rows) const {
    const int64_t rows = extents[extents.size() - rank + along_rows];
    std::vector<int64_t> sides;
    for (int64_t side = machine_.vector_bits / 32; side <= rows && sides.size() < 4; side *= 2)
      if (rows % side == 0)
        sides.push_back(side);
    return sides;
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_register_tiling_rule(const MachineHints& machine) {
  return std::make_unique<RegisterTiling>(machine);
}

} // namespace temper::tuner
