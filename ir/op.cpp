#include "ir/op.h"

#include <array>

namespace temper::ir {
namespace {

constexpr auto kSame = OpResult::kSameAsArgument;

/// What threads of a GPU do together, and its asynchronous engines. Their meaning is at the head of
/// ir/tir/emulator/emulate.h.
void add_gpu_ops(std::vector<OpInfo>& list) {
  const auto statement = [&](const char* name, int arity, int addresses) {
    list.push_back({name, arity, OpResult::kStatement, false, false, false, false, addresses});
  };
  statement("sync_threads", -1, 0);
  statement("sync_warp", 0, 0);
  statement("cluster_sync", 0, 0);
  for (const char* name : {"shfl_sync", "shfl_xor_sync", "shfl_up_sync", "shfl_down_sync"})
    list.push_back({name, 2, OpResult::kFirstArgument, false, false, false, false});
  for (const char* name : {"atomic_add", "atomic_max", "atomic_min"})
    statement(name, 2, 1);
  // Text for the compiler of CUDA C++, or one PTX instruction; then the values of $0, $1, ...
  // A line of text, then the values of each {} (ir/tir/printing.h).
  statement("print", -1, 0);
  // Only until the kernel around it is read (ir/tir/grid_sync.h).
  statement("sync_grid", 0, 0);
  statement("inline_cuda", -1, 0);
  statement("inline_ptx", -1, 0);
  // A kernel that is CUDA C++ of its own, and what it writes (ir/tir/source_kernel.h).
  statement("call_source_kernel", 2, 0);
  statement("source_writes", 1, 1);
  statement("mbarrier_init", 2, 1);
  statement("mbarrier_arrive", 1, 1);
  statement("mbarrier_arrive_cluster", 2, 1);
  statement("mbarrier_expect_tx", 2, 1);
  statement("mbarrier_arrive_expect_tx", 2, 1);
  statement("mbarrier_wait_parity", 2, 1);
  statement("fence_proxy_async", 0, 0);
  statement("fence_mbarrier_init", 0, 0);
  statement("ptx_cp_async", -1, 2);
  statement("copy_vector", 3, 2);
  statement("ptx_commit_group", 0, 0);
  statement("ptx_wait_group", 1, 0);
  statement("tma_load", -1, 3);
  statement("tma_load_multicast", -1, 3);
  statement("tma_store", -1, 2);
  statement("tma_store_arrive", 0, 0);
  statement("tma_store_wait", 1, 0);
  statement("ptx_ldmatrix", 4, 2);
  statement("ptx_stmatrix", 3, 2);
  statement("ptx_mma", 4, 3);
  // Tiles that a warp holds (ir/tir/warp_fragments.h), until they are registers.
  statement("warp_load_matrix", 5, 4);
  statement("warp_fill", 4, 2);
  statement("warp_store_matrix", 5, 4);
  statement("warp_mma", 7, 6);
  // AMD's product by a wave of 64 threads (ir/tir/mfma.h): C, A, B, its name.
  statement("amd_mfma", 4, 3);
  statement("ptx_wgmma_ss", -1, 3);
  statement("ptx_wgmma_rs", -1, 3);
  statement("setmaxnreg", 2, 0);
  statement("warpgroup_arrive", 0, 0);
  statement("warpgroup_commit_batch", 0, 0);
  statement("warpgroup_wait", 1, 0);
}

const std::vector<OpInfo>& table() {
  static const std::vector<OpInfo> ops = [] {
    std::vector<OpInfo> list;
    for (const char* name :
         {"exp",     "exp2", "exp10", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "tanh",
          "sigmoid", "erf",  "sin",   "cos", "tan",  "asin",  "acos",  "atan", "sinh",  "cosh"})
      list.push_back({name, 1, kSame, true, false, true, true});
    for (const char* name : {"floor", "ceil", "round", "trunc", "nearbyint"})
      list.push_back({name, 1, kSame, true, false, true, false});
    list.push_back({"abs", 1, kSame, false, false, true, false});
    list.push_back({"pow", 2, kSame, true, false, true, true});
    list.push_back({"atan2", 2, kSame, true, false, true, true});
    list.push_back({"fma", 3, kSame, true, false, true, false});
    list.push_back({"copysign", 2, kSame, true, false, true, false});
    for (const char* name : {"isnan", "isinf", "isfinite"})
      list.push_back({name, 1, OpResult::kBool, true, false, true, false});
    for (const char* name :
         {"bitwise_and", "bitwise_or", "bitwise_xor", "shift_left", "shift_right"})
      list.push_back({name, 2, kSame, false, true, true, false});
    list.push_back({"bitwise_not", 1, kSame, false, true, true, false});
    list.push_back({"popcount", 1, kSame, false, true, true, false});
    list.push_back({"clz", 1, kSame, false, true, true, false});
    list.push_back({"if_then_else", 3, OpResult::kSecondArgument, false, false, true, false});
    list.push_back({"likely", 1, kSame, false, false, true, false});
    list.push_back({"reinterpret", 1, OpResult::kExplicit, false, false, true, false});
    // Horizontal sum of a vector's lanes, in any order: only where reassociation is allowed.
    list.push_back({"vector_reduce_add", 1, OpResult::kExplicit, false, false, true, false});
    list.push_back({"vector_reduce_max", 1, OpResult::kExplicit, false, false, true, false});
    list.push_back({"vector_reduce_min", 1, OpResult::kExplicit, false, false, true, false});
    // An instruction by LLVM's name of it, its first argument; the others are what it takes.
    list.push_back({"call_llvm_pure_intrin", -1, OpResult::kExplicit, false, false, true, false});
    // Lane i is lane index[i] of the table, a vector of 16 bytes; what an index has above its
    // lowest four bits does not count.
    list.push_back({"table_lookup", 2, OpResult::kExplicit, false, true, true, false});
    // A hint: (address as a load, read or write 0/1, locality 0..3).
    list.push_back({"prefetch", 3, OpResult::kExplicit, false, false, false, false, 1});
    // C += A * B by x86's matrix extension (AMX): of C, A and B the first elements of the first and
    // second row and the last element, then rows and columns of C, how many products a sum has, and
    // whether the sums start from zero: not 0, then it is C = A * B. B's rows hold groups of four
    // bytes of columns, as the instructions take them.
    list.push_back({"amx_multiply_add", 13, OpResult::kExplicit, false, false, false, false, 9});
    add_gpu_ops(list);
    // A layout as a value in annotations (ir/tir/layout.h): T.Layout(...), T.Fragment(...).
    list.push_back({"Layout", 6, OpResult::kExplicit, false, false, true, false});
    return list;
  }();
  return ops;
}

} // namespace

const OpInfo* find_op(std::string_view name) {
  for (const OpInfo& op : table())
    if (op.name == name)
      return &op;
  return nullptr;
}

std::span<const OpInfo> all_ops() { return table(); }

Expr call_op(std::string_view name, std::vector<Expr> args) {
  const OpInfo* op = find_op(name);
  TEMPER_CHECK(op != nullptr, "no such operation");
  TEMPER_CHECK(op->arity < 0 || static_cast<size_t>(op->arity) == args.size(),
               "wrong number of arguments for an operation");
  DataType dtype;
  switch (op->result) {
  case OpResult::kSameAsArgument:
    dtype = args[0]->dtype;
    break;
  case OpResult::kFirstArgument:
    dtype = args[0]->dtype;
    break;
  case OpResult::kStatement:
    dtype = DataType::handle();
    break;
  case OpResult::kSecondArgument:
    dtype = args[1]->dtype;
    break;
  case OpResult::kBool:
    dtype = DataType::boolean(args[0]->dtype.lanes);
    break;
  case OpResult::kExplicit:
    TEMPER_UNREACHABLE("this operation's result type must be given: use make_call");
  }
  return make_call(dtype, op->name, std::move(args));
}

} // namespace temper::ir
