#include "ir/tir/inline_ptx.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace temper::tir {
namespace {

/// Instructions of the PTX ISA whose first operand is written.
constexpr std::string_view kWriting[] = {
    "abs",   "activemask", "add",   "addc", "and",      "atom", "bfe",   "bfi",   "bfind", "bmsk",
    "brev",  "clz",        "cnot",  "cos",  "copysign", "cvt",  "cvta",  "div",   "dp2a",  "dp4a",
    "elect", "ex2",        "fma",   "fns",  "ld",       "ldu",  "lg2",   "lop3",  "mad",   "mad24",
    "madc",  "mapa",       "match", "max",  "min",      "mov",  "mul",   "mul24", "neg",   "not",
    "or",    "popc",       "prmt",  "rcp",  "redux",    "rem",  "rsqrt", "sad",   "selp",  "set",
    "setp",  "shf",        "shfl",  "shl",  "shr",      "sin",  "slct",  "sqrt",  "sub",   "subc",
    "szext", "tanh",       "testp", "vote", "xor"};

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

} // namespace

int64_t ptx_outputs(const ir::Call& call) {
  return call.args.size() > kPtxOutputs ? ir::as_int(call.args[kPtxOutputs]).value_or(0) : 0;
}

std::optional<PtxDestination> unstated_destination(const std::string& text, int64_t outputs) {
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find_first_of(";{}", at), text.size());
    // "add.f32 {" begins a list of registers; a group stands alone.
    std::string_view statement(text.data() + at, end - at);
    at = end + 1;
    const auto skip = [&] {
      while (!statement.empty() && is_space(statement.front()))
        statement.remove_prefix(1);
    };
    const auto word = [&] {
      const auto stop = std::find_if(statement.begin(), statement.end(), is_space);
      const std::string_view result =
          statement.substr(0, static_cast<size_t>(stop - statement.begin()));
      statement.remove_prefix(result.size());
      skip();
      return result;
    };
    skip();
    if (!statement.empty() && statement.front() == '@')
      word(); // a predicate
    const std::string_view instruction = word();
    const std::string_view name = instruction.substr(0, instruction.find('.'));
    if (std::find(std::begin(kWriting), std::end(kWriting), name) == std::end(kWriting) ||
        statement.size() < 2 || statement[0] != '$' ||
        std::isdigit(static_cast<unsigned char>(statement[1])) == 0)
      continue;
    const int64_t value = statement[1] - '0';
    if (value >= outputs)
      return PtxDestination{static_cast<size_t>(value), std::string(instruction)};
  }
  return std::nullopt;
}

} // namespace temper::tir
