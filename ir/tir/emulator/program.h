/// Programs of the emulator: statements as a list of instructions with jumps, so that a warp is a
/// place in the list and can wait anywhere. Expressions are the interpreter's code. Private to the
/// emulator.
#pragma once

#include "ir/detail/interpreter.h"
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/stmt.h"

#include <map>
#include <memory>
#include <unordered_map>

namespace temper::tir::emulator {

using interpreter::CodePtr;
using interpreter::Frame;
using interpreter::Slot;

enum class Do : uint8_t {
  kBind,     ///< slot = value
  kStore,    ///< buffer[codes] = value, where predicate
  kEvaluate, ///< value
  kAlloc,    ///< buffer gets fresh, unwritten memory (local; global outside of kernels)
  kIf,       ///< else target
  kElse,     ///< end target
  kEndIf,
  kForBegin, ///< codes = min, extent; slot
  kForTest,  ///< leave target
  kWhileBegin,
  kWhileTest, ///< value; leave target
  kLoopNext,  ///< back to target
  kLoopEnd,
  kBreak,
  kContinue,
  kReturn,
  kAssert,    ///< value
  kThread,    ///< slot = codes[0] + number `axis` of the thread or block
  kShuffle,   ///< slot = value of another lane; `operation`
  kIntrinsic, ///< `operation` on addresses and codes
  kLaunch,    ///< kernel `target`
  kEnd,
};

/// A place in memory as an operand.
struct Address {
  int buffer = -1;
  std::vector<CodePtr> indices;
  const BufferLoad* node = nullptr;
};

struct Instruction {
  Do what = Do::kEnd;
  int slot = -1;
  int buffer = -1;
  int axis = -1; ///< 0..2 blockIdx, 3..5 threadIdx
  size_t target = 0;
  std::vector<CodePtr> codes;
  CodePtr value;
  CodePtr predicate;
  DataType dtype;
  std::string operation;
  std::vector<Address> addresses;
  std::string text; ///< an argument that is text
  const Node* node = nullptr;
};

enum class Where : uint8_t { kGlobal, kShared, kLocal };

struct BufferInfo {
  Buffer buffer;
  Where where = Where::kGlobal;
  bool parameter = false;
  int kernel = -1;                  ///< of shared and local buffers
  bool written = true;              ///< in some kernel
  std::vector<int64_t> shape;       ///< of shared and local buffers
  std::vector<int64_t> strides;     ///< in elements
  int64_t count = 0;                ///< elements of memory
  int64_t arena = 0;                ///< byte offset of shared memory
  std::optional<Layout> layout;     ///< by the annotation "layout"
  std::vector<CodePtr> shape_codes; ///< of global ones allocated outside of kernels
};

struct Kernel {
  std::vector<Instruction> code;
  CodePtr extents[6];             ///< grid, threads; null = 1
  int64_t cluster[3] = {1, 1, 1}; ///< blocks
  int64_t shared_bytes = 0;
  int64_t granule = 1; ///< bytes of a shadow cell of shared memory
  const Node* node = nullptr;
};

/// What loads ask at run time.
class Memory {
public:
  /// One element for the lane that is being evaluated; zero after an error (noted in the frame).
  virtual Slot load(int buffer, std::span<const int64_t> indices, const Node* where) = 0;

protected:
  ~Memory() = default;
};

struct Program {
  std::vector<BufferInfo> buffers;
  std::vector<Kernel> kernels;
  std::vector<Instruction> host;
  size_t var_slots = 0;
  std::unordered_map<const VarNode*, int> var_slot;
  std::unordered_map<const BufferNode*, int> buffer_index;
  bool float_atomics = false;
  std::vector<Expr> kept; ///< nodes made while compiling, to which code points
};

/// `memory` is what compiled loads will ask.
Result<Program> compile(const PrimFunc& function, Memory& memory, const EmulateOptions& options);

} // namespace temper::tir::emulator
