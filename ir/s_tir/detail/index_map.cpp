#include "ir/s_tir/detail/index_map.h"

#include "ir/arith/iter_map.h"
#include "ir/arith/simplify.h"
#include "ir/s_tir/detail/index_type.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <numeric>

namespace temper::s_tir {
namespace {

/// Maps come from files: recursion must end.
constexpr int kMaxDepth = 100;

class LambdaParser {
public:
  LambdaParser(std::string_view text, DataType dtype) : text_(text), dtype_(dtype) {}

  Result<void> parse_inputs() {
    if (!take("lambda"))
      return wrong("an index map starts with 'lambda'");
    do {
      const std::string_view name = identifier();
      if (name.empty())
        return wrong("the name of an index is expected");
      if (find(name) != nullptr)
        return wrong(fmt::format("'{}' stands twice among the inputs", name));
      names.push_back(name);
      inputs.push_back(make_var(std::string(name), dtype_));
    } while (take(","));
    if (!take(":"))
      return wrong("':' is expected behind the inputs");
    return {};
  }

  Result<std::vector<Expr>> parse_outputs() {
    std::vector<Expr> outputs;
    const bool tuple = take("(");
    do {
      if (tuple && !outputs.empty() && peek() == ')')
        break; // (i,)
      TEMPER_TRY(output, sum());
      outputs.push_back(std::move(output));
    } while (tuple && take(","));
    if (tuple && !take(")"))
      return wrong("')' is expected");
    if (peek() != '\0')
      return wrong("the map should end here");
    return outputs;
  }

  Result<std::vector<Expr>> parse_ranges() {
    const char close = peek() == '[' ? ']' : ')';
    if (!take("[") && !take("("))
      return wrong("a list of ranges is expected, as [(i, i + 2), (j, j + 1)]");
    std::vector<Expr> ends;
    while (!take(std::string_view(&close, 1))) {
      const size_t start = at_;
      bool pair = false;
      if (take("(")) {
        TEMPER_TRY(begin, sum());
        pair = take(",");
        if (pair) {
          TEMPER_TRY(end, sum());
          if (!take(")"))
            return wrong("')' is expected: a range is (begin, end)");
          ends.push_back(std::move(begin));
          ends.push_back(std::move(end));
        }
      }
      if (!pair) { // one element; what looked like a pair was an expression in parentheses
        at_ = start;
        TEMPER_TRY(value, sum());
        ends.push_back(value);
        ends.push_back(value + 1);
      }
      if (!take(",") && peek() != close)
        return wrong(fmt::format("',' or '{}' is expected", close));
    }
    if (peek() != '\0')
      return wrong("the map should end here");
    return ends;
  }

  /// The value that an input stands for in the outputs: itself, or a parameter's number.
  void set_value(size_t input, Expr value) { values_[inputs[input]] = std::move(value); }

  std::vector<std::string_view> names;
  std::vector<Var> inputs;

private:
  Result<Expr> sum() {
    TEMPER_TRY(value, product());
    for (;;) {
      const bool plus = take("+");
      if (!plus && !take("-"))
        return value;
      TEMPER_TRY(right, product());
      value = plus ? value + right : value - right;
    }
  }
  Result<Expr> product() {
    TEMPER_TRY(value, atom());
    for (;;) {
      const char op = take("//") ? '/' : take("%") ? '%' : take("*") ? '*' : '\0';
      if (op == '\0')
        return value;
      TEMPER_TRY(right, atom());
      if (op == '*') {
        value = value * right;
        continue;
      }
      const auto divisor = as_int(right);
      if (!divisor || *divisor <= 0)
        return wrong("the divisor must be a positive number");
      value = op == '/' ? floordiv(value, right) : floormod(value, right);
    }
  }
  Result<Expr> atom() {
    if (take("(")) {
      if (++depth_ > kMaxDepth)
        return wrong("parentheses are nested too deeply");
      TEMPER_TRY(value, sum());
      --depth_;
      if (!take(")"))
        return wrong("')' is expected");
      return value;
    }
    if (std::isdigit(static_cast<unsigned char>(peek())) != 0) {
      int64_t value = 0;
      const auto [end, error] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc())
        return wrong("the number is too large");
      at_ = static_cast<size_t>(end - text_.data());
      return make_int(dtype_, value);
    }
    const std::string_view name = identifier();
    if (name.empty())
      return wrong("an input, a number or '(' is expected");
    const Var* input = find(name);
    if (input == nullptr) {
      at_ -= name.size();
      return wrong(fmt::format("'{}' is not among the inputs", name));
    }
    const auto value = values_.find(*input);
    return value == values_.end() ? Expr(*input) : value->second;
  }

  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ')
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(std::string_view token) {
    peek();
    if (text_.substr(at_, token.size()) != token)
      return false;
    at_ += token.size();
    return true;
  }
  std::string_view identifier() {
    peek();
    const size_t start = at_;
    const auto part = [&](char c) {
      return c == '_' || std::isalpha(static_cast<unsigned char>(c)) != 0 ||
             (at_ > start && std::isdigit(static_cast<unsigned char>(c)) != 0);
    };
    while (at_ < text_.size() && part(text_[at_]))
      ++at_;
    return text_.substr(start, at_ - start);
  }
  const Var* find(std::string_view name) const {
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == name)
        return &inputs[i];
    return nullptr;
  }
  Error wrong(std::string_view why) const {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("index map \"{}\", column {}: {}", text_, at_ + 1, why));
  }

  std::string_view text_;
  DataType dtype_;
  size_t at_ = 0;
  int depth_ = 0;
  VarMap values_;
};

/// The least extent from `extent` on that all divisors and moduli of the input divide: over whole
/// tiles the map can be proven to be one to one.
int64_t whole_tiles(const IndexMap& map, const Var& input, int64_t extent) {
  int64_t tile = 1;
  for (const Expr& output : map->outputs)
    walk(output, [&](const NodeRef& node) {
      const auto take = [&](const Expr& a, const Expr& b) {
        if (mentions(a, input))
          tile = std::lcm(tile, as_int(b).value_or(1));
      };
      if (const auto* div = node.as<FloorDiv>())
        take(div->a, div->b);
      if (const auto* mod = node.as<FloorMod>())
        take(mod->a, mod->b);
      return true;
    });
  return (extent + tile - 1) / tile * tile;
}

} // namespace

Result<IndexMap> parse_index_map(std::string_view text, size_t rank,
                                 std::span<const int64_t> parameters, DataType dtype) {
  LambdaParser parser(text, dtype);
  TEMPER_TRY_VOID(parser.parse_inputs());
  if (parser.inputs.size() != rank + parameters.size())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("index map \"{}\" has {} inputs; the buffer has {} dimensions, and {} "
                             "parameters are given",
                             text, parser.inputs.size(), rank, parameters.size()));
  for (size_t i = 0; i < parameters.size(); ++i)
    parser.set_value(rank + i, make_int(dtype, parameters[i]));
  TEMPER_TRY(outputs, parser.parse_outputs());
  parser.inputs.resize(rank);
  return make_node<IndexMapNode>([&](IndexMapNode& node) {
    node.inputs = std::move(parser.inputs);
    node.outputs = std::move(outputs);
  });
}

Result<IndexMap> parse_range_map(std::string_view text, size_t rank, DataType dtype) {
  LambdaParser parser(text, dtype);
  TEMPER_TRY_VOID(parser.parse_inputs());
  if (parser.inputs.size() != rank)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("\"{}\" has {} inputs; the block has {} axes", text,
                             parser.inputs.size(), rank));
  TEMPER_TRY(ends, parser.parse_ranges());
  return make_node<IndexMapNode>([&](IndexMapNode& node) {
    node.inputs = std::move(parser.inputs);
    node.outputs = std::move(ends);
  });
}

namespace {

/// The map over whole tiles, as pieces of the inputs; an error when two elements may fall on one.
struct Pieces {
  std::vector<VarRange> ranges;
  IterMap map;
};
Result<Pieces> pieces_of(const IndexMap& map, std::span<const int64_t> shape, Analyzer& analyzer) {
  Pieces pieces;
  for (size_t i = 0; i < shape.size(); ++i) {
    const Var& input = map->inputs[i];
    const DataType dtype = input->dtype;
    pieces.ranges.push_back(
        {input, {make_int(dtype, 0), make_int(dtype, whole_tiles(map, input, shape[i]))}});
    analyzer.bind(input, pieces.ranges.back().range);
  }
  Result<IterMap> found = detect_iter_map(map->outputs, pieces.ranges, make_bool(true), analyzer);
  if (!found || !found->bijective)
    return Error(ErrorCode::kIllegal,
                 fmt::format("the index map must give each element a place of its own; {}",
                             found ? "a part of an index is missing from its outputs"
                                   : found.error().message));
  pieces.map = *std::move(found);
  return pieces;
}

} // namespace

Result<std::vector<int64_t>> map_shape(const IndexMap& map, std::span<const int64_t> shape) {
  Analyzer analyzer;
  TEMPER_TRY(pieces, pieces_of(map, shape, analyzer));
  std::vector<int64_t> extents;
  for (size_t i = 0; i < pieces.map.sums.size(); ++i) {
    const IterSum& sum = pieces.map.sums[i];
    if (as_int(sum.base).value_or(-1) != 0 ||
        (!sum.splits.empty() && sum.splits.front().scale != 1))
      return Error(ErrorCode::kIllegal,
                   fmt::format("output {} of the index map does not run from 0 in steps of 1", i));
    extents.push_back(sum.extent());
  }
  return extents;
}

Result<OpenIndex> open_index(const IndexMap& map, size_t input) {
  const Var& index = map->inputs[input];
  std::vector<size_t> users;
  for (size_t o = 0; o < map->outputs.size(); ++o)
    if (mentions(map->outputs[o], index))
      users.push_back(o);
  if (users.size() == 1 && map->outputs[users[0]] == index)
    return OpenIndex{users[0], std::nullopt, 1};
  const auto cut = [&](const auto* part) -> std::optional<int64_t> {
    return part != nullptr && part->a == index ? as_int(part->b) : std::nullopt;
  };
  OpenIndex open;
  std::optional<int64_t> tile;
  std::optional<int64_t> modulus;
  for (const size_t o : users) {
    if (const auto by = cut(map->outputs[o].as<FloorDiv>())) {
      tile = by;
      open.output = o;
    } else if (const auto by = cut(map->outputs[o].as<FloorMod>())) {
      modulus = by;
      open.rest = o;
    }
  }
  if (users.size() != 2 || !tile || tile != modulus)
    return Error(ErrorCode::kIllegal,
                 fmt::format("index {} of the map has a symbolic extent: it must be an output as "
                             "it is, or be cut in {} // n and {} % n",
                             index->name, index->name, index->name));
  open.tile = *tile;
  return open;
}

Result<std::vector<Expr>> map_extents(const IndexMap& map, std::span<const Expr> shape) {
  std::vector<int64_t> known; // what a symbolic extent stands for does not reach the other outputs
  std::vector<std::pair<size_t, Expr>> symbolic; // of which output
  for (size_t d = 0; d < shape.size(); ++d) {
    if (const auto extent = as_int(shape[d])) {
      known.push_back(*extent);
      continue;
    }
    TEMPER_TRY(open, open_index(map, d));
    const Expr extent = as_type(map->inputs[d]->dtype, shape[d]);
    symbolic.emplace_back(open.output,
                          open.rest ? floordiv(extent + (open.tile - 1), open.tile) : extent);
    known.push_back(open.tile);
  }
  TEMPER_TRY(extents, map_shape(map, known));
  std::vector<Expr> result;
  const DataType dtype = shape.empty() ? DataType::int32() : shape[0]->dtype;
  for (const int64_t extent : extents)
    result.push_back(make_int(dtype, extent));
  for (auto& [output, extent] : symbolic)
    result[output] = std::move(extent);
  return result;
}

Result<std::vector<Expr>> unmap_indices(const IndexMap& map, std::span<const int64_t> shape,
                                        std::span<const Expr> outputs) {
  Analyzer analyzer;
  TEMPER_TRY(pieces, pieces_of(map, shape, analyzer));
  return inverse(pieces.map, pieces.ranges, outputs, analyzer);
}

std::vector<Expr> map_indices(const IndexMap& map, std::span<const Expr> indices) {
  VarMap values;
  for (size_t i = 0; i < indices.size(); ++i)
    values[map->inputs[i]] = as_type(map->inputs[i]->dtype, indices[i]);
  std::vector<Expr> outputs;
  for (const Expr& output : map->outputs)
    outputs.push_back(substitute(output, values));
  return outputs;
}

} // namespace temper::s_tir
