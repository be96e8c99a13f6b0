// A fragment's tiles become registers: dimensions (.., R, C) of units r x c become (.., R / r, C /
// c, registers of a lane). What is 16 bits wide and lies aligned in shared memory is loaded by
// ldmatrix, all else element by element as the fragment's layout has it.
#include "ir/tir/warp_fragments.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/fragments.h"
#include "ir/tir/kernel_math.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace temper::tir {
namespace {

constexpr int64_t kLanes = 32;

Expr int32(int64_t value) { return make_int(DataType::int32(), value); }

/// Of instructions of 16 rows and 8 columns.
constexpr const char* kSums = "m16n8k16";

/// Which operand of which instruction a tile is.
struct Role {
  std::string instruction; ///< "m16n8k16", "m16n8k8.tf32"
  char operand = 'A';
  bool turned = false; ///< the tile's rows are the fragment's columns
  bool operator==(const Role&) const = default;
};

/// "m16n8k16.At".
std::optional<Role> role_of(std::string text) {
  Role role;
  if (!text.empty() && text.back() == 't') {
    role.turned = true;
    text.pop_back();
  }
  if (text.size() < 3 || text[text.size() - 2] != '.' ||
      std::string("ABC").find(text.back()) == std::string::npos)
    return std::nullopt;
  role.operand = text.back();
  // The sums of all instructions lie alike.
  role.instruction = role.operand == 'C' ? kSums : text.substr(0, text.size() - 2);
  return role;
}

std::string role_text(const Role& role) {
  return fmt::format("{}.{}{}", role.instruction, role.operand, role.turned ? "t" : "");
}

/// A fragment of one instruction: its layout over (rows, columns) as in PTX, and its size in the
/// tile's own order.
struct Unit {
  Layout layout;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t registers = 0;
};

/// A tile, by two elements of a buffer.
struct Tile {
  Buffer buffer;
  std::vector<Expr> first; ///< all indices
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t of_lane = 0; ///< elements, where its dimensions are lanes and what each has; else 0
};

/// TVM's form of a fragment: (.., 32 lanes, elements of each).
bool is_by_lanes(const Buffer& buffer) { return buffer->scope == "warp"; }

/// Rows and columns of the tile of which each lane has so many elements: sums are 16 x 16, operands
/// 16 along C and as long as that gives along the reduction.
std::array<int64_t, 2> tile_of_lanes(const Role& role, int64_t of_lane) {
  const int64_t depth = role.operand == 'C' ? 16 : kLanes * of_lane / 16;
  return (role.operand == 'B') != role.turned ? std::array<int64_t, 2>{depth, 16}
                                              : std::array<int64_t, 2>{16, depth};
}

class Fragments {
public:
  Result<Stmt> run(const KernelLaunch& launch) {
    collect(launch.body);
    if (roles_.empty())
      return Stmt(&launch);
    if (as_int(launch.threads[0]) != kLanes)
      fail("a kernel of warp instructions has a warp's 32 threads along threadIdx.x");
    find_strangers(launch.body);
    if (!error_.message.empty())
      return error_;
    bind_kernel(math_, launch);
    lane_ = launch.thread_vars[0];
    if (lane_->dtype != DataType::int32())
      lane_ = make_cast(DataType::int32(), lane_);
    const Stmt body = lower(launch.body);
    if (!error_.message.empty())
      return error_;
    return Stmt(copy_node(launch, [&](KernelLaunch& node) { node.body = body; }));
  }

private:
  void fail(std::string message) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported, std::move(message));
  }

  static const Call* operation(const NodeRef& node) {
    const auto* call = node.as<Call>();
    return call != nullptr && is_warp_operation(*call) ? call : nullptr;
  }
  static std::string text_of(const Call& call) {
    const auto* text = call.args.back().as<StringImm>();
    return text != nullptr ? text->value : std::string();
  }

  struct Named {
    size_t argument;
    Role role;
  };
  /// The operands of a call that are fragments.
  std::vector<Named> fragments_of(const Call& call) {
    const std::string text = text_of(call);
    if (call.op != "warp_mma") {
      const auto role = role_of(text);
      if (!role) {
        fail(fmt::format("T.{} of \"{}\": write the instruction and its operand, as \"m16n8k16.A\"",
                         call.op, text));
        return {};
      }
      return {{call.op == "warp_store_matrix" ? size_t{2} : size_t{0}, *role}};
    }
    // "m16n8k16.A.Bt"
    const size_t second = text.rfind('.');
    const size_t first = second == std::string::npos ? second : text.rfind('.', second - 1);
    const auto a = first == std::string::npos ? std::nullopt : role_of(text.substr(0, second));
    const auto b = first == std::string::npos
                       ? std::nullopt
                       : role_of(text.substr(0, first) + text.substr(second));
    if (!a || !b || a->operand != 'A' || b->operand != 'B') {
      fail(fmt::format("T.warp_mma of \"{}\": write the instruction and its operands, as "
                       "\"m16n8k16.A.B\"",
                       text));
      return {};
    }
    return {{0, {kSums, 'C', false}}, {2, *a}, {4, *b}};
  }

  /// Which buffers are fragments, and of what.
  void collect(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      const Call* call = operation(node);
      if (call == nullptr)
        return true;
      if (!names_tiles(*call)) {
        fail(fmt::format("T.{} names tiles by their first and last elements, of two dimensions at "
                         "least",
                         call->op));
        return false;
      }
      for (const Named& named : fragments_of(*call)) {
        const auto* load = call->args[named.argument].as<BufferLoad>();
        const auto [known, added] = roles_.emplace(load->buffer.get(), named.role);
        if (!added && known->second != named.role)
          fail(fmt::format(
              "{} is held as {} and as {}: one buffer is one operand of one instruction",
              load->buffer->name, role_text(known->second), role_text(named.role)));
      }
      return false;
    });
  }

  void find_strangers(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      if (operation(node) != nullptr)
        return false;
      const auto* load = node.as<BufferLoad>();
      const auto* store = node.as<BufferStore>();
      const BufferNode* buffer = load != nullptr    ? load->buffer.get()
                                 : store != nullptr ? store->buffer.get()
                                                    : nullptr;
      if (buffer != nullptr && roles_.contains(buffer))
        fail(fmt::format("{} is held by a warp in the registers of {}, and {} by a block that is "
                         "not tensorized: tensorize that, too",
                         buffer->name, role_text(roles_.at(buffer)),
                         store != nullptr ? "written" : "read"));
      return true;
    });
  }

  std::optional<Unit> unit_of(const Role& role) {
    const auto text = parse_matrix_text(role.instruction);
    const auto layout = hardware_fragment(
        fmt::format("mma.{}.{}", text ? text->fragment : role.instruction, role.operand));
    if (!layout) {
      fail(layout.error().message);
      return std::nullopt;
    }
    Unit unit;
    unit.rows = layout->shape[role.turned ? 1 : 0];
    unit.columns = layout->shape[role.turned ? 0 : 1];
    unit.registers = unit.rows * unit.columns / kLanes;
    unit.layout = *std::move(layout);
    return unit;
  }

  std::optional<Tile> tile_of(const Call& call, size_t argument) {
    const auto* first = call.args[argument].as<BufferLoad>();
    const auto* last = call.args[argument + 1].as<BufferLoad>();
    Tile tile{first->buffer, first->indices, 0, 0};
    const size_t rank = first->indices.size();
    for (const size_t d : {rank - 2, rank - 1}) {
      const auto extent = as_int(math_.simplify(last->indices[d] - first->indices[d]));
      if (!extent || *extent < 0) {
        fail(fmt::format("T.{}: the size of a tile of {} is not constant", call.op,
                         first->buffer->name));
        return std::nullopt;
      }
      (d + 1 == rank ? tile.columns : tile.rows) = *extent + 1;
    }
    if (const auto role = roles_.find(tile.buffer.get());
        role != roles_.end() && is_by_lanes(tile.buffer)) {
      if (tile.rows != kLanes) {
        fail(
            fmt::format("{} is in \"warp\": its last two dimensions are 32 lanes and what each has",
                        tile.buffer->name));
        return std::nullopt;
      }
      tile.of_lane = tile.columns;
      const auto shape = tile_of_lanes(role->second, tile.of_lane);
      tile.rows = shape[0];
      tile.columns = shape[1];
    }
    return tile;
  }

  Buffer registers_of(const Buffer& buffer) {
    Buffer& known = registers_[buffer];
    if (known)
      return known;
    const auto unit = unit_of(roles_.at(buffer.get()));
    if (!unit)
      return buffer;
    known = copy_node(*buffer, [&](BufferNode& node) {
      const size_t rank = node.shape.size();
      const auto divided = [&](size_t d, int64_t by) {
        const auto extent = as_int(node.shape[d]);
        if (!extent || *extent % by != 0)
          fail(fmt::format("dimension {} of {} is no multiple of the {} of {}", d, buffer->name, by,
                           role_text(roles_.at(buffer.get()))));
        node.shape[d] = make_int(node.shape[d]->dtype, extent.value_or(by) / by);
      };
      if (is_by_lanes(buffer)) { // units of a tile lie side by side
        const int64_t units = roles_.at(buffer.get()).operand == 'A' ? 1 : 2;
        divided(rank - 2, kLanes);
        divided(rank - 1, units * unit->registers);
        node.shape.push_back(make_int(node.shape[0]->dtype, units));
      } else {
        divided(rank - 2, unit->rows);
        divided(rank - 1, unit->columns);
      }
      node.shape.push_back(make_int(node.shape[0]->dtype, unit->registers));
      node.scope = "local";
      node.strides.clear();
    });
    return known;
  }

  /// The first register of the unit at (row, column) of the tile, in units.
  Expr register_of(const Tile& tile, const Unit& unit, const Expr& row, const Expr& column) {
    std::vector<Expr> indices = tile.first;
    const size_t rank = indices.size();
    if (tile.of_lane > 0) {
      indices[rank - 2] = floordiv(indices[rank - 2], kLanes);
      indices[rank - 1] = floordiv(indices[rank - 1], tile.of_lane);
      indices.push_back(row * (tile.columns / unit.columns) + column);
    } else {
      indices[rank - 2] = floordiv(indices[rank - 2], unit.rows) + row;
      indices[rank - 1] = floordiv(indices[rank - 1], unit.columns) + column;
    }
    for (size_t d = rank - 2; d < indices.size(); ++d)
      indices[d] = math_.simplify(indices[d]);
    indices.push_back(make_int(indices[0]->dtype, 0));
    return make_load(registers_of(tile.buffer), std::move(indices));
  }
  static Expr at_register(const Expr& first, const Expr& number) {
    const auto* load = first.as<BufferLoad>();
    std::vector<Expr> indices = load->indices;
    indices.back() = number;
    return make_load(load->buffer, std::move(indices));
  }
  static Stmt stored_to(const Expr& element, Expr value) {
    const auto* load = element.as<BufferLoad>();
    return make_store(load->buffer, load->indices, std::move(value));
  }

  /// An element of a tile in memory.
  Expr element(const Tile& tile, const Expr& row, const Expr& column) {
    std::vector<Expr> indices = tile.first;
    const size_t rank = indices.size();
    indices[rank - 2] = math_.simplify(indices[rank - 2] + row);
    indices[rank - 1] = math_.simplify(indices[rank - 1] + column);
    return make_load(tile.buffer, std::move(indices));
  }

  /// For each unit of the tile, `body` of its number along rows and columns.
  template <typename F> Stmt each_unit(const Tile& tile, const Unit& unit, const F& body) {
    if (tile.rows % unit.rows != 0 || tile.columns % unit.columns != 0) {
      fail(fmt::format("a tile of {} x {} of {} is no multiple of the {} x {} of its instruction",
                       tile.rows, tile.columns, tile.buffer->name, unit.rows, unit.columns));
      return make_seq({});
    }
    std::vector<Stmt> list;
    for (int64_t row = 0; row < tile.rows / unit.rows; ++row)
      for (int64_t column = 0; column < tile.columns / unit.columns; ++column)
        list.push_back(body(row, column));
    return make_seq(std::move(list));
  }

  /// For each register of a lane, `body` of its number and of its element's place in the unit, in
  /// the tile's order.
  template <typename F> Stmt each_register(const Unit& unit, bool turned, const F& body) {
    const auto elements = inverse(unit.layout, {kLaneAxis, kMemoryAxis});
    TEMPER_CHECK(elements.has_value(), "fragments of mma are bijective");
    const Var r = make_var("r");
    const Analyzer::Scope scope(math_);
    math_.bind(r, Range{int32(0), int32(unit.registers)});
    const Expr number = layout_value(*elements, std::vector<Expr>{lane_, Expr(r)});
    Expr row = math_.simplify(floordiv(number, unit.layout.shape[1]));
    Expr column = math_.simplify(floormod(number, unit.layout.shape[1]));
    if (turned)
      std::swap(row, column);
    return make_for(r, int32(0), int32(unit.registers), ForKind::kUnrolled,
                    body(Expr(r), row, column));
  }

  /// ldmatrix finds whole rows of 16 bytes, aligned.
  bool lies_for_ldmatrix(const Tile& memory) {
    if (tile_scope(memory.buffer->scope) != "shared" || memory.buffer->dtype.bits != 16 ||
        !memory.buffer->strides.empty())
      return false;
    const auto row = as_int(memory.buffer->shape.back());
    const int64_t start = index_divisor(math_.simplify(memory.first.back()));
    return row && *row % 8 == 0 && start % 8 == 0;
  }

  Stmt load(const Call& call) {
    const auto to = tile_of(call, 0);
    const auto from = tile_of(call, 2);
    const Role role = roles_.at(call.args[0].as<BufferLoad>()->buffer.get());
    const auto unit = unit_of(role);
    if (!to || !from || !unit)
      return make_seq({});
    const bool matrices = role.operand != 'C' && lies_for_ldmatrix(*from);
    return each_unit(*to, *unit, [&](int64_t row, int64_t column) -> Stmt {
      const Expr registers = register_of(*to, *unit, int32(row), int32(column));
      const Expr top = int32(row * unit->rows);
      const Expr left = int32(column * unit->columns);
      if (!matrices)
        return each_register(*unit, role.turned, [&](const Expr& r, const Expr& i, const Expr& j) {
          return stored_to(at_register(registers, r), element(*from, top + i, left + j));
        });
      // Matrices of 8 x 8 in the order of the fragment's registers: A's go down its rows first, B's
      // along k. Lane l has the address of row l % 8 of matrix l / 8.
      const int64_t count = unit->rows * unit->columns / 64;
      const Expr in_matrix = floormod(lane_, 8);
      const Expr matrix = count == 1 ? int32(0) : floormod(floordiv(lane_, 8), count);
      const int64_t down = unit->layout.shape[0] / 8; // matrices along the fragment's rows
      Expr x = floormod(matrix, down);
      Expr y = floordiv(matrix, down);
      // Registers hold pairs along A's columns and along B's rows: where memory has them along its
      // rows, matrices go in as they lie.
      const bool pairs_along_columns = (role.operand == 'A') != role.turned;
      if (role.turned)
        std::swap(x, y);
      return make_evaluate(
          call_op("ptx_ldmatrix", {registers, element(*from, top + x * 8 + in_matrix, left + y * 8),
                                   int32(count), int32(pairs_along_columns ? 0 : 1)}));
    });
  }

  Stmt store(const Call& call) {
    const auto to = tile_of(call, 0);
    const auto from = tile_of(call, 2);
    const Role role = roles_.at(call.args[2].as<BufferLoad>()->buffer.get());
    const auto unit = unit_of(role);
    if (!to || !from || !unit)
      return make_seq({});
    return each_unit(*from, *unit, [&](int64_t row, int64_t column) {
      const Expr registers = register_of(*from, *unit, int32(row), int32(column));
      return each_register(*unit, role.turned, [&](const Expr& r, const Expr& i, const Expr& j) {
        return stored_to(
            element(*to, int32(row * unit->rows) + i, int32(column * unit->columns) + j),
            at_register(registers, r));
      });
    });
  }

  Stmt fill(const Call& call) {
    const auto to = tile_of(call, 0);
    const auto unit = unit_of(roles_.at(call.args[0].as<BufferLoad>()->buffer.get()));
    if (!to || !unit)
      return make_seq({});
    return each_unit(*to, *unit, [&](int64_t row, int64_t column) {
      const Var r = make_var("r");
      return make_for(
          r, int32(0), int32(unit->registers), ForKind::kUnrolled,
          stored_to(at_register(register_of(*to, *unit, int32(row), int32(column)), Expr(r)),
                    call.args[2]));
    });
  }

  Stmt product(const Call& call) {
    const auto c = tile_of(call, 0), a = tile_of(call, 2), b = tile_of(call, 4);
    if (!c || !a || !b)
      return make_seq({});
    const Role of_a = roles_.at(a->buffer.get()), of_b = roles_.at(b->buffer.get());
    const auto unit_c = unit_of(roles_.at(c->buffer.get()));
    const auto unit_a = unit_of(of_a), unit_b = unit_of(of_b);
    if (!unit_c || !unit_a || !unit_b)
      return make_seq({});
    // In units: C is i x j, A i x k, B k x j.
    const auto along = [](const Tile& tile, const Unit& unit, bool rows) {
      return rows ? tile.rows / unit.rows : tile.columns / unit.columns;
    };
    const int64_t depth = along(*a, *unit_a, of_a.turned);
    if (depth != along(*b, *unit_b, !of_b.turned) ||
        along(*c, *unit_c, true) != along(*a, *unit_a, !of_a.turned) ||
        along(*c, *unit_c, false) != along(*b, *unit_b, of_b.turned)) {
      fail(fmt::format("T.warp_mma: the tiles of {}, {} and {} do not fit each other",
                       c->buffer->name, a->buffer->name, b->buffer->name));
      return make_seq({});
    }
    return each_unit(*c, *unit_c, [&](int64_t i, int64_t j) {
      std::vector<Stmt> list;
      for (int64_t k = 0; k < depth; ++k)
        list.push_back(make_evaluate(call_op(
            "ptx_mma",
            {register_of(*c, *unit_c, int32(i), int32(j)),
             register_of(*a, *unit_a, int32(of_a.turned ? k : i), int32(of_a.turned ? i : k)),
             register_of(*b, *unit_b, int32(of_b.turned ? j : k), int32(of_b.turned ? k : j)),
             make_string(of_a.instruction)})));
      return make_seq(std::move(list));
    });
  }

  Stmt lower(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>())
      bind_loop(math_, *loop);
    if (const auto* alloc = stmt.as<AllocBuffer>(); alloc && roles_.contains(alloc->buffer.get()))
      return make_alloc(registers_of(alloc->buffer));
    const auto* evaluate = stmt.as<Evaluate>();
    if (const Call* call = evaluate != nullptr ? operation(evaluate->value) : nullptr) {
      Stmt result = call->op == "warp_load_matrix"    ? load(*call)
                    : call->op == "warp_store_matrix" ? store(*call)
                    : call->op == "warp_fill"         ? fill(*call)
                                                      : product(*call);
      result->span = stmt->span;
      return result;
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return lower(child); },
        [](const Expr& expr) { return expr; });
  }

  std::map<const BufferNode*, Role> roles_;
  std::unordered_map<Buffer, Buffer, RefHash> registers_;
  Analyzer math_;
  Expr lane_;
  Error error_;
};

} // namespace

bool is_warp_operation(const Call& call) { return call.op.starts_with("warp_"); }

bool names_tiles(const Call& call) {
  const OpInfo* op = find_op(call.op);
  for (int i = 0; op != nullptr && i < op->addresses; ++i) {
    const auto* load = call.args[static_cast<size_t>(i)].as<BufferLoad>();
    const auto* first = call.args[static_cast<size_t>(i - i % 2)].as<BufferLoad>();
    if (load == nullptr || first == nullptr || load->indices.size() < 2 ||
        load->buffer != first->buffer)
      return false;
  }
  return true;
}

bool writes_argument(const Call& call, size_t index) {
  return is_warp_operation(call) ? index < 2 : index == 0;
}

std::array<Expr, 2> lane_element(const Expr& row, const Expr& column, int64_t of_lane, bool down) {
  if (of_lane == 16 && down)
    return {floordiv(floormod(row, 16), 4) + floormod(column, 8) * 4,
            floordiv(column, 8) * 8 + floordiv(row, 16) * 4 + floormod(row, 4)};
  if (of_lane == 16)
    return {floormod(row, 8) * 4 + floordiv(floormod(column, 16), 4),
            floordiv(column, 16) * 8 + floordiv(row, 8) * 4 + floormod(column, 4)};
  return {floormod(row, 8) * 4 + floordiv(floormod(column, 8), 2),
          floordiv(column, 8) * 4 + floordiv(row, 8) * 2 + floormod(column, 2)};
}

/// What a product's text, "m16n8k32.e4m3.e4m3.A.Bt", takes its operands for.
static MatrixText operand_types(const std::string& text) {
  return parse_matrix_text(text.substr(0, text.find(".A"))).value_or(MatrixText());
}

Stmt warp_as_loops(const Call& call) {
  const auto place = [&](size_t argument) { return call.args[argument].as<BufferLoad>(); };
  // The size of a tile along one of its two dimensions.
  const auto extent = [&](size_t argument, size_t dimension) {
    const size_t d = place(argument)->indices.size() - 2 + dimension;
    return simplify(place(argument + 1)->indices[d] - place(argument)->indices[d] + 1);
  };
  const auto* text = call.args.back().as<StringImm>();
  const std::string name = text != nullptr ? text->value : std::string();
  const bool turned_a = name.find(".At.") != std::string::npos;
  const bool turned_b = name.ends_with(".Bt");
  // What a tile is, of which lanes have parts.
  const auto role = [&](size_t argument) {
    if (call.op != "warp_mma")
      return role_of(name).value_or(Role());
    return argument == 0 ? Role{"", 'C', false}
                         : Role{"", argument == 2 ? 'A' : 'B', argument == 2 ? turned_a : turned_b};
  };
  const auto size = [&](size_t argument, size_t dimension) -> Expr {
    if (!is_by_lanes(place(argument)->buffer))
      return extent(argument, dimension);
    return int32(tile_of_lanes(role(argument), as_int(extent(argument, 1)).value_or(0))[dimension]);
  };
  const auto rows_of = [&](size_t argument) { return as_int(size(argument, 0)).value_or(0); };
  const auto at = [&](size_t argument, const Expr& row, const Expr& column) {
    std::vector<Expr> indices = place(argument)->indices;
    const size_t rank = indices.size();
    std::array<Expr, 2> element{row, column};
    if (is_by_lanes(place(argument)->buffer))
      element = lane_element(row, column, as_int(extent(argument, 1)).value_or(0),
                             rows_of(argument) == kLanes);
    indices[rank - 2] = indices[rank - 2] + element[0];
    indices[rank - 1] = indices[rank - 1] + element[1];
    return make_load(place(argument)->buffer, std::move(indices));
  };
  const auto stored = [](const Expr& element, Expr value) {
    const auto* load = element.as<BufferLoad>();
    return make_store(load->buffer, load->indices, std::move(value));
  };
  const Var i = make_var("i"), j = make_var("j"), k = make_var("k");
  Stmt body;
  if (call.op == "warp_fill") {
    body = stored(at(0, i, j), call.args[2]);
  } else if (call.op == "warp_mma") {
    const DataType sum = place(0)->buffer->dtype;
    const MatrixText types = operand_types(name);
    const auto term = [&](MatrixOperand type, const Expr& element) {
      // Narrow floats may lie there as the bytes that they are.
      const Expr value =
          element->dtype == DataType::uint(8) ? matrix_operand_value(type, element) : element;
      return value->dtype == sum ? value : make_cast(sum, value);
    };
    const Expr product = term(types.a, turned_a ? at(2, k, i) : at(2, i, k)) *
                         term(types.b, turned_b ? at(4, j, k) : at(4, k, j));
    body = make_for(k, int32(0), size(2, turned_a ? 0 : 1), ForKind::kSerial,
                    stored(at(0, i, j), at(0, i, j) + product));
  } else {
    body = stored(at(0, i, j), at(2, i, j));
  }
  body = make_for(j, int32(0), size(0, 1), ForKind::kSerial, body);
  return make_for(i, int32(0), size(0, 0), ForKind::kSerial, body);
}

Result<PrimFunc> lower_warp_fragments(const PrimFunc& function) {
  TEMPER_TRY(body, replace_where(
                       function->body, [](const Stmt& stmt) { return stmt.is<KernelLaunch>(); },
                       [](const Stmt& stmt) { return Fragments().run(*stmt.as<KernelLaunch>()); }));
  return with_body(function, body);
}

} // namespace temper::tir
