// Transposing copies go through registers.
//
//   for d in range(64):                         for d0 in range(0, 64, 16), j0 in range(0, 32, 16):
//     for j in range(32):              ->         r0 = Y[j0 * 768 + d0 : +16] ... r15 = ...
//       P[d * 32 + j] = Y[j * 768 + d]            16 x 16 transposed by shuffles
//                                                 P[d0 * 32 + j0 : +16] = t0 ... t15
//
// Element by element such a copy takes a load and a store each; as a vector it gathers or scatters.
// A tile of n x n takes n loads, n stores and n log2(n) shuffles of two registers.
//
// The nest is a copy from one buffer to another, without conditions, one loop of it contiguous in
// what is read and another in what is written, whose order is free: no two iterations write one
// element. Where a tile is not full, lanes are masked; machines without masks keep the rest as
// loops.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

#include <algorithm>
#include <bit>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// Fewer elements along one side are not worth the shuffles.
constexpr int64_t kLeastSide = 4;

Expr pick_lanes(const Expr& a, const Expr& b, const std::vector<int>& picks) {
  std::vector<Expr> indices;
  for (const int pick : picks)
    indices.push_back(make_int(DataType::int32(), pick));
  return make_shuffle({a, b}, std::move(indices));
}

/// Transposes n vectors of n lanes. Elements are exchanged inside 128-bit parts first, which is one
/// instruction for any two registers, then parts between registers.
class Network {
public:
  Network(int lanes, int per_part) : lanes_(lanes), per_part_(per_part) {}

  std::vector<Expr> transpose(const std::vector<Expr>& rows, std::vector<Stmt>& statements) {
    statements_ = &statements;
    const int parts = lanes_ / per_part_;
    // groups[g][j]: in each part p, column p * per_part + j of the rows of group g.
    std::vector<std::vector<Expr>> groups;
    for (int g = 0; g < parts; ++g) {
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>(g) * per_part_;
      std::vector<Expr> group(first, first + per_part_);
      if (per_part_ == 4) {
        const Expr a = unpack(group[0], group[1], 1, false);
        const Expr b = unpack(group[0], group[1], 1, true);
        const Expr c = unpack(group[2], group[3], 1, false);
        const Expr d = unpack(group[2], group[3], 1, true);
        group = {unpack(a, c, 2, false), unpack(a, c, 2, true), unpack(b, d, 2, false),
                 unpack(b, d, 2, true)};
      } else {
        group = {unpack(group[0], group[1], 1, false), unpack(group[0], group[1], 1, true)};
      }
      groups.push_back(std::move(group));
    }
    std::vector<Expr> columns(static_cast<size_t>(lanes_));
    for (int j = 0; j < per_part_; ++j) {
      std::vector<Expr> column;
      for (const std::vector<Expr>& group : groups)
        column.push_back(group[static_cast<size_t>(j)]);
      column = exchange_parts(column);
      for (int p = 0; p < parts; ++p)
        columns[static_cast<size_t>(p * per_part_ + j)] = column[static_cast<size_t>(p)];
    }
    return columns;
  }

private:
  Expr named(const Expr& value) {
    const Var var = make_var("t", value->dtype);
    statements_->push_back(make_bind(var, value));
    return var;
  }

  /// In each 128-bit part the low (or high) halves, `width` elements at a time in turn.
  Expr unpack(const Expr& a, const Expr& b, int width, bool high) {
    std::vector<int> picks;
    for (int part = 0; part < lanes_; part += per_part_)
      for (int i = 0; i < per_part_ / 2; i += width)
        for (const int side : {0, lanes_})
          for (int w = 0; w < width; ++w)
            picks.push_back(side + part + (high ? per_part_ / 2 : 0) + i + w);
    return named(pick_lanes(a, b, picks));
  }

  /// Picks whole parts.
  Expr take(const Expr& a, const Expr& b, std::initializer_list<int> parts) {
    std::vector<int> picks;
    for (const int part : parts)
      for (int i = 0; i < per_part_; ++i)
        picks.push_back(part * per_part_ + i);
    return named(pick_lanes(a, b, picks));
  }

  /// Part p of vector g becomes part g of vector p.
  std::vector<Expr> exchange_parts(const std::vector<Expr>& v) {
    if (v.size() == 1)
      return v;
    if (v.size() == 2)
      return {take(v[0], v[1], {0, 2}), take(v[0], v[1], {1, 3})};
    const Expr even01 = take(v[0], v[1], {0, 2, 4, 6});
    const Expr odd01 = take(v[0], v[1], {1, 3, 5, 7});
    const Expr even23 = take(v[2], v[3], {0, 2, 4, 6});
    const Expr odd23 = take(v[2], v[3], {1, 3, 5, 7});
    return {take(even01, even23, {0, 2, 4, 6}), take(odd01, odd23, {0, 2, 4, 6}),
            take(even01, even23, {1, 3, 5, 7}), take(odd01, odd23, {1, 3, 5, 7})};
  }

  int lanes_;
  int per_part_;
  std::vector<Stmt>* statements_ = nullptr;
};

class Transposer {
public:
  explicit Transposer(const LowerOptions& options) : options_(options) {}

  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (loop == nullptr)
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); },
          [](const Expr& expr) { return expr; });
    if (const Stmt tiled = transposed(*loop))
      return tiled;
    const Stmt body = rewrite(loop->body);
    return body == loop->body ? stmt
                              : Stmt(change_loop(*loop, [&](For& node) { node.body = body; }));
  }

private:
  struct Copy {
    std::vector<const For*> around; ///< other loops of the nest
    const For* read = nullptr;      ///< contiguous in what is read
    const For* written = nullptr;   ///< contiguous in what is written
    const BufferStore* store = nullptr;
    const BufferLoad* load = nullptr;
  };

  static int64_t coefficient_of(const LinearForm& form, const For& loop) {
    return coefficient(form, loop.loop_var.get());
  }

  static std::optional<Copy> as_copy(const For& outermost) {
    Copy copy;
    std::vector<const For*> nest;
    Stmt body = Ref<For>(&outermost);
    while (const auto* loop = body.as<For>()) {
      if (!as_int(loop->min) || !as_int(loop->extent) || *as_int(loop->extent) < 1 ||
          loop->kind == ForKind::kParallel || loop->kind == ForKind::kThreadBinding)
        return std::nullopt;
      nest.push_back(loop);
      body = loop->body;
    }
    copy.store = body.as<BufferStore>();
    if (nest.size() < 2 || copy.store == nullptr || copy.store->predicate ||
        copy.store->indices.size() != 1)
      return std::nullopt;
    copy.load = copy.store->value.as<BufferLoad>();
    if (copy.load == nullptr || copy.load->predicate || copy.load->indices.size() != 1 ||
        copy.load->buffer == copy.store->buffer || !copy.load->dtype.is_scalar() ||
        (copy.load->dtype.bits != 32 && copy.load->dtype.bits != 64))
      return std::nullopt;
    const LinearForm to = linear_form(copy.store->indices[0]);
    const LinearForm from = linear_form(copy.load->indices[0]);
    if (to.overflow || from.overflow)
      return std::nullopt;
    std::vector<std::pair<int64_t, int64_t>> steps; // of the store, with extents
    for (const For* loop : nest) {
      if (hides(to, loop->loop_var.get()) || hides(from, loop->loop_var.get()))
        return std::nullopt;
      const int64_t writes = coefficient_of(to, *loop);
      steps.emplace_back(std::abs(writes), *as_int(loop->extent));
      if (writes == 1 && coefficient_of(from, *loop) != 1 && copy.written == nullptr)
        copy.written = loop;
      else if (coefficient_of(from, *loop) == 1 && writes != 1 && copy.read == nullptr)
        copy.read = loop;
      else
        copy.around.push_back(loop);
    }
    if (copy.read == nullptr || copy.written == nullptr ||
        *as_int(copy.read->extent) < kLeastSide || *as_int(copy.written->extent) < kLeastSide)
      return std::nullopt;
    // Each element is written once: steps like the digits of a number.
    std::sort(steps.begin(), steps.end());
    int64_t reach = 1;
    for (const auto& [step, extent] : steps) {
      if (step < reach && extent > 1)
        return std::nullopt;
      reach = std::max(reach, step * extent);
    }
    return copy;
  }

  Stmt transposed(const For& outermost) {
    const auto copy = as_copy(outermost);
    if (!copy)
      return nullptr;
    const int bits = copy->load->dtype.bits;
    const int most = options_.vector_bits / bits;
    const int64_t larger = std::max(*as_int(copy->read->extent), *as_int(copy->written->extent));
    lanes_ = std::min<int>(most, static_cast<int>(std::bit_ceil(static_cast<uint64_t>(larger))));
    if (lanes_ < 128 / bits)
      return nullptr;
    has_masks_ = options_.vector_bits >= 256;
    if (!has_masks_ &&
        (*as_int(copy->read->extent) % lanes_ != 0 || *as_int(copy->written->extent) % lanes_ != 0))
      return nullptr;
    const DataType type = copy->read->loop_var->dtype;
    Stmt body = along(*copy->read, type, [&](const Expr& d, int d_used) {
      return along(*copy->written, type,
                   [&](const Expr& j, int j_used) { return tile(*copy, d, d_used, j, j_used); });
    });
    for (size_t i = copy->around.size(); i-- > 0;)
      body = change_loop(*copy->around[i], [&](For& node) {
        node.body = body;
        if (node.kind != ForKind::kSerial)
          node.kind = ForKind::kSerial;
      });
    return body;
  }

  /// `body(first, used)` for each `lanes_` iterations of the loop, and for the rest.
  template <typename F> Stmt along(const For& loop, DataType type, F&& body) const {
    const int64_t min = *as_int(loop.min);
    const int64_t extent = *as_int(loop.extent);
    const int64_t chunks = extent / lanes_;
    std::vector<Stmt> parts;
    if (chunks == 1) {
      parts.push_back(body(make_int(type, min), lanes_));
    } else if (chunks > 1) {
      const Var chunk = make_var(loop.loop_var->name, type);
      parts.push_back(make_for(chunk, make_int(type, 0), make_int(type, chunks), ForKind::kSerial,
                               body(Expr(chunk) * lanes_ + make_int(type, min), lanes_)));
    }
    if (const int64_t rest = extent % lanes_; rest > 0)
      parts.push_back(body(make_int(type, min + chunks * lanes_), static_cast<int>(rest)));
    return make_seq(std::move(parts));
  }

  Expr mask(DataType type, int used) const {
    return used < lanes_ ? first_lanes(type, lanes_, used) : nullptr;
  }

  Expr at(const Expr& index, const Copy& copy, const Expr& d, const Expr& j) const {
    const Expr moved = substitute(index, {{copy.read->loop_var, d}, {copy.written->loop_var, j}});
    const Expr base = to_expr(linear_form(moved));
    return make_ramp(base, make_int(base->dtype, 1), lanes_);
  }

  Stmt tile(const Copy& copy, const Expr& d, int d_used, const Expr& j, int j_used) const {
    const DataType type = d->dtype;
    std::vector<Stmt> statements;
    std::vector<Expr> rows;
    for (int row = 0; row < lanes_; ++row) {
      if (row >= j_used) { // what comes of it is masked
        rows.push_back(rows.front());
        continue;
      }
      const Expr value = make_load(copy.load->buffer, {at(copy.load->indices[0], copy, d, j + row)},
                                   mask(type, d_used));
      const Var var = make_var("row", value->dtype);
      statements.push_back(make_bind(var, value));
      rows.emplace_back(var);
    }
    Network network(lanes_, 128 / copy.load->dtype.bits);
    const std::vector<Expr> columns = network.transpose(rows, statements);
    for (int column = 0; column < d_used; ++column)
      statements.push_back(make_store(copy.store->buffer,
                                      {at(copy.store->indices[0], copy, d + column, j)},
                                      columns[static_cast<size_t>(column)], mask(type, j_used)));
    return make_seq(std::move(statements));
  }

  const LowerOptions& options_;
  int lanes_ = 0;
  bool has_masks_ = false;
};

} // namespace

PrimFunc transpose_tiles(const PrimFunc& function, const LowerOptions& options) {
  return with_body(function, Transposer(options).rewrite(function->body));
}

} // namespace temper::ir
