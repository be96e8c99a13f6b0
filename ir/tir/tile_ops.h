/// The registry of tile operators: what each is called, which operands it takes, what is wrong with
/// a call, and what it computes. Parser, printer, verifier, interpreter, lowering and the language
/// reference read it; one file per operator in ir/tir/ops.
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tir {

enum class TileParameterType : uint8_t {
  kRead,      ///< a region that is read
  kWrite,     ///< a region that is written
  kReadWrite, ///< a region that is read and written
  kValue,     ///< a scalar expression
  kFlag,      ///< True or False
  kInteger,
  kText,
};

struct TileParameter {
  std::string name;
  TileParameterType type;
  /// Of options: what leaving it out means. Null: it must be given. Regions and values have none.
  Expr default_value = nullptr;
  std::vector<std::string> choices = {}; ///< of kText: what it may be
  /// A region that may be left out: then it is the operator's first region.
  bool in_place = false;
};

inline bool is_region(TileParameterType type) { return type <= TileParameterType::kReadWrite; }

struct TileOp {
  std::string name; ///< as after "T."
  std::string doc;  ///< one sentence
  /// A program that uses it, complete: checked by a test, shown in LANGUAGE.md.
  std::string example;
  /// As the language has them, in order: regions, then values, then options.
  std::vector<TileParameter> parameters;
  /// A region that is given by its first element alone, A[i, j], takes the extents of the others.
  bool extents_from_others = false;
  /// What is wrong with the operands, in one sentence.
  Result<void> (*check)(const TileCall& call) = nullptr;
  /// What it computes, as plain tir over fresh variables. The order of sums is free unless the
  /// operator's doc says otherwise.
  Stmt (*meaning)(const TileCall& call) = nullptr;
};

/// Null when there is no such operator.
const TileOp* find_tile_op(std::string_view name);
/// In alphabetical order.
std::span<const TileOp* const> all_tile_ops();

/// Which of the call's regions are written; all for an operator that is not known.
std::vector<size_t> written_operands(const TileCall& call);

/// The option's value in this call, or its default. The operator must have such an option.
bool flag_option(const TileCall& call, std::string_view name);
int64_t integer_option(const TileCall& call, std::string_view name);
std::string text_option(const TileCall& call, std::string_view name);

/// Operands exist, have types and options as registered, and fit each other (TileOp::check). One
/// sentence.
Result<void> check_tile_call(const TileCall& call);

// For the operators' files.

/// "A_shared[64, 32]": an operand in a message.
std::string tile_text(const BufferRegion& region);
/// The element of `region` at the position that `indices` give for its extents other than 1.
std::vector<Expr> tile_indices(const BufferRegion& region, std::span<const Expr> indices);
Expr tile_load(const BufferRegion& region, std::span<const Expr> indices);
Stmt tile_store(const BufferRegion& region, std::span<const Expr> indices, Expr value);
/// True when both are constant and equal, or the same expression.
bool same_extent(const Expr& a, const Expr& b);
/// Loops over the extents of a tile: the innermost last.
struct TileLoops {
  std::vector<Var> vars;
  std::vector<Expr> indices; ///< the same as expressions
  std::vector<Expr> extents;
  explicit TileLoops(const std::vector<Expr>& shape, std::string_view names = "ijklmn");
  Stmt wrap(Stmt body, ForKind kind = ForKind::kSerial) const;
};
/// A cast where the types differ.
Expr tile_cast(DataType dtype, Expr value);

} // namespace temper::tir
