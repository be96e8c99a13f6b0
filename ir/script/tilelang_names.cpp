#include "ir/script/tilelang_names.h"

namespace temper::script {
namespace {

/// The names, and those of types that are not there, with as many lanes as they come with.
std::vector<std::pair<std::string, const char*>>
with_types(std::vector<std::pair<std::string, const char*>> names) {
  constexpr const char* kTf32 = "is no type of memory here: T.gemm(..., allow_tf32=True) takes "
                                "float32 operands for it";
  constexpr const char* kPacked = "is no type here: float8 is float8_e4m3fn or float8_e5m2; keep "
                                  "other codes in uint8 and decode them by arithmetic or T.lookup";
  for (const char* type : {"tfloat32", "float4_e2m1fn", "float4_e2m1_unpacked", "float6_e2m3fn",
                           "float6_e3m2fn", "float8_e3m4", "float8_e4m3b11fnuz", "float8_e4m3fnuz",
                           "float8_e5m2fnuz", "float8_e8m0fnu"})
    for (const char* lanes : {"", "x2", "x4", "x8", "x16", "x32", "x64"})
      names.emplace_back(std::string(type) + lanes,
                         std::string_view(type) == "tfloat32" ? kTf32 : kPacked);
  return names;
}

} // namespace

const std::vector<std::pair<std::string, const char*>>& names_of_tilelang() {
  static constexpr const char* k0 =
      "is not there: tensor memory is of Blackwell alone; take T.alloc_fragment";
  static constexpr const char* k1 = "is not there: products into tensor memory are of Blackwell "
                                    "alone; T.gemm is dispatched to the instructions of the target";
  static constexpr const char* k2 = "is not there: products with block scales are of Blackwell "
                                    "alone; scale the operands, then T.gemm";
  static constexpr const char* k3 =
      "is not there: the order of its metadata is that of one generation's instruction, and "
      "nothing here packs it; expand the operand, then T.gemm";
  static constexpr const char* k4 = "is not there: descriptors are made where the instruction is; "
                                    "T.gemm takes the buffers themselves";
  static constexpr const char* k5 =
      "is not there: which instructions a product takes, and which lane holds what, follows from "
      "the target; write T.gemm, or T.ptx_mma with T.ptx_ldmatrix";
  static constexpr const char* k6 =
      "is not there: it leaves open who waits at which barrier; T.copy moves the region, a "
      "T.Pipelined carries it out ahead, and a variant of it takes that engine";
  static constexpr const char* k7 =
      "is not there: copies reach the shared memory of their own block only; a T.Pipelined with "
      "\"tma\": 2 brings blocks of a cluster what they share";
  static constexpr const char* k8 = "is not there: rows by index are of Blackwell's copy engine "
                                    "alone; write T.Parallel with the rows' indices";
  static constexpr const char* k9 = "is not there: tensor maps are made where a copy takes that "
                                    "engine; write T.copy in a T.Pipelined";
  static constexpr const char* k10 =
      "is not there: which warps do what is the program's or the search's; write the roles with "
      "T.ws or if T.get_warp_group_idx() == 0, or leave T.Pipelined to the search";
  static constexpr const char* k11 =
      "is not there: a barrier is T.alloc_barrier's, with T.barrier_arrive and T.barrier_wait; "
      "copies of a T.Pipelined bring their own";
  static constexpr const char* k12 =
      "is not there: an arrival at another block's barrier is T.barrier_arrive(bar, cta_id=rank)";
  static constexpr const char* k13 =
      "is not there: arriving and waiting are one here, T.cluster_sync()";
  static constexpr const char* k14 =
      "is not there: the size of a cluster is what cluster_dims= of T.Kernel says; "
      "T.cluster_id(dim) and T.block_rank_in_cluster() say where the block is";
  static constexpr const char* k15 =
      "is not there: work that is cancelled while it waits is of Blackwell alone; T.Persistent "
      "shares the tiles out among the blocks";
  static constexpr const char* k16 = "is not there: kernels of a function run one after the other, "
                                     "each when the one before is done";
  static constexpr const char* k17 =
      "is of TileLang's eager style, where calling a kernel traces it; write the extents as "
      "parameters of a function that returns the program: def matmul(M, N, K): with @T.prim_func "
      "def main(A: T.Tensor((M, K), dtype), ..., C: T.Tensor((M, N), dtype)): in it, and return "
      "main";
  static constexpr const char* k18 =
      "is not there: pointers are no part of the language; a parameter is T.Tensor(shape, dtype), "
      "and T.view gives memory another shape";
  static constexpr const char* k19 =
      "is not there: a tensor lies row by row; give the parameter the shape of its memory and "
      "index what is meant, or copy it first";
  static constexpr const char* k20 =
      "is not there: T.alloc_shared, T.alloc_fragment and T.alloc_local make memory of a kernel, "
      "T.alloc_buffer memory between kernels";
  static constexpr const char* k21 =
      "is not there: parameters of a macro have no types; write its names alone";
  static constexpr const char* k22 = "is not there: write the loads of single elements in for v in "
                                     "T.vectorized(4):; side by side they become one instruction";
  static constexpr const char* k23 =
      "is not there: write the stores of single elements in for v in T.vectorized(4):; side by "
      "side they become one instruction";
  static constexpr const char* k24 =
      "is not there: write the operation element by element in for v in T.vectorized(2):";
  static constexpr const char* k25 =
      "is not there: write x + y, x - y, x * y or x / y, which round to the nearest, and T.fma(x, "
      "y, z) for a product and a sum rounded once";
  static constexpr const char* k26 = "is not there: write T.sqrt(x), T.rsqrt(x) or 1.0 / x";
  static constexpr const char* k27 = "is not there: write the function without underscores, "
                                     "T.exp(x); the target's compiler is told how exact it is";
  static constexpr const char* k28 = "is not there: count bits with T.popcount(x) and T.clz(x)";
  static constexpr const char* k29 = "is not there: write it with T.exp, T.log and T.sqrt";
  static constexpr const char* k30 =
      "is not there: of floats write x - T.trunc(x / y) * y, of integers T.truncmod(x, y)";
  static constexpr const char* k31 =
      "is not there: write the multiplication in int64 and shift it, (x * y) >> s";
  static constexpr const char* k32 = "is not there: give the random numbers as a parameter, or "
                                     "compute them from the element's index by integer arithmetic";
  static constexpr const char* k33 =
      "is not there: what blocks of one kernel add up is T.atomic_add's; what others have stored "
      "is read behind T.sync_grid() or in the next kernel";
  static constexpr const char* k34 = "is not there: flags of 0 and 1 join by T.atomic_max(dst, "
                                     "flag), several of them as a number each";
  static constexpr const char* k35 = "is not there: a reducer begins as T.clear or T.fill sets it, "
                                     "and an iteration joins it by sums[i] += x";
  static constexpr const char* k36 = "is not there: T.any_of(tile) and T.all_of(tile) say it of "
                                     "all threads' elements; a count is T.reduce_sum's";
  static constexpr const char* k37 = "is not there: compare values with T.shfl_sync(x, lane), or "
                                     "T.warp_reduce_min(x) with T.warp_reduce_max(x)";
  static constexpr const char* k38 =
      "is not there: all threads of a warp come to each line together unless a condition on the "
      "thread's number stands around it";
  static constexpr const char* k39 =
      "is not there: T.make_swizzled_layout(buffer) is the layout without bank conflicts, "
      "T.Layout(shape, lambda i, j: ...) any other";
  static constexpr const char* k40 = "is not there: write the arithmetic, i // n and i % n";
  static constexpr const char* k41 =
      "is not there: options of the compiler and passes are the target's; leave it out";
  static constexpr const char* k42 =
      "is not there: a kernel that is CUDA C++ of its own is T.source_kernel(...) in a T.Kernel";
  static constexpr const char* k43 = "is not there: with T.Kernel(...) as bx: names what it gives";
  static constexpr const char* k44 = "is not there: a name of a value is written x: T.let = ...";
  static constexpr const char* k45 =
      "is not there: T.macro makes a function whose statements stand where it is called";
  static constexpr const char* k46 =
      "is not there: the warp's sum, largest and smallest are T.warp_reduce_sum, T.warp_reduce_max "
      "and T.warp_reduce_min; a value of another lane is T.shfl_sync(x, lane)";
  static constexpr const char* k47 =
      "is not there: all threads of the block meet at T.sync_threads()";
  static constexpr const char* k48 = "is not there: types are T.float32 and the like or their "
                                     "names, as \"float32\"; dtypes of buffers are buffer.dtype";
  static constexpr const char* k49 = "is not there: numbers and names stand as they are in Python";
  static constexpr const char* k50 = "is not there: T.ceildiv(a, b) * b is the next multiple";
  static constexpr const char* k51 = "is not there: give every element a value, T.clear(tile)";
  static constexpr const char* k52 = "is not there: vectors have a known number of lanes";
  static constexpr const char* k53 =
      "is not there: a kernel returns nothing; store into a parameter";
  static constexpr const char* k54 = "is not there: temper rerun RECORD --counters lite,stall and "
                                     "temper explain say where the time goes";
  static constexpr const char* k55 =
      "is TVM's own, about how a compiled function is called; it has no place in a kernel";
  static constexpr const char* kIntrinsic =
      "is not for kernels: it stands in the description of an instruction that sch.tensorize takes";
  static constexpr const char* kFence =
      "is not there: sums of a product stay where they are; T.warpgroup_wait(n) waits for them";
  static const std::vector<std::pair<std::string, const char*>> kNames = with_types({
      {"alloc_tmem", k0},
      {"deallocate_tmem", k0},
      {"TCGEN05DescriptorParams", k1},
      {"TCGEN05TensorCoreIntrinEmitter", k1},
      {"ptx_tcgen05_mma_blockscaled_ss", k1},
      {"ptx_tcgen05_mma_ss", k1},
      {"ptx_tcgen05_mma_ts", k1},
      {"tcgen05_after_thread_sync", k1},
      {"tcgen05_before_thread_sync", k1},
      {"tcgen05_cp_warpx4", k1},
      {"tcgen05_gemm", k1},
      {"tcgen05_gemm_sp", k1},
      {"tcgen05_mma", k1},
      {"tcgen05_mma_arrive", k1},
      {"tcgen05_mma_blockscaled", k1},
      {"tcgen05_sf_warp_transpose", k1},
      {"gemm_blockscaled", k2},
      {"make_blockscaled_gemm_layout", k2},
      {"mma_gemm_blockscaled", k2},
      {"ptx_mma_block_scale", k2},
      {"tcgen05_gemm_blockscaled", k2},
      {"SparseTensorCoreIntrinEmitter", k3},
      {"WGSparseTensorCoreIntrinEmitter", k3},
      {"gemm_sp", k3},
      {"ptx_mma_sp", k3},
      {"ptx_wgmma_sp_rs", k3},
      {"ptx_wgmma_sp_ss", k3},
      {"wgmma_gemm_sp", k3},
      {"WGMMADescriptorParams", k4},
      {"alloc_descriptor", k4},
      {"alloc_tcgen05_instr_desc", k4},
      {"alloc_tcgen05_instruction_desc", k4},
      {"alloc_tcgen05_smem_desc", k4},
      {"alloc_wgmma_desc", k4},
      {"compute_gmma_descriptor", k4},
      {"compute_umma_descriptor", k4},
      {"increase_descriptor_offset", k4},
      {"initialize_tcgen05_descriptor", k4},
      {"initialize_wgmma_descriptor", k4},
      {"TensorCoreIntrinEmitter", k5},
      {"TensorCoreIntrinEmitterSM120", k5},
      {"TensorCoreIntrinEmitterWithLadderTransform", k5},
      {"WGMMATensorCoreIntrinEmitter", k5},
      {"get_ldmatrix_offset", k5},
      {"get_mma_micro_size", k5},
      {"mma_fill", k5},
      {"mma_store", k5},
      {"mma_store_index_map", k5},
      {"ptx_mma_sm70", k5},
      {"tvm_bmma_sync", k5},
      {"tvm_fill_fragment", k5},
      {"tvm_load_matrix_sync", k5},
      {"tvm_mma_sync", k5},
      {"tvm_store_matrix_sync", k5},
      {"validate_gemm_ab_dtypes", k5},
      {"wgmma_mma", k5},
      {"tma_copy", k6},
      {"copy_cluster", k7},
      {"tma_gather4", k8},
      {"tma_gather4_bytes", k8},
      {"tma_scatter4", k8},
      {"create_tma_descriptor", k9},
      {"ptx_cp_async_bulk", k9},
      {"tma_load_2sm", k9},
      {"WSID", k10},
      {"WSInstr", k10},
      {"WSOpRef", k10},
      {"WSPipeline", k10},
      {"WSRole", k10},
      {"WSSchedule", k10},
      {"WSScope", k10},
      {"WSSync", k10},
      {"WSSyncKind", k10},
      {"WarpSpecialize", k10},
      {"WarpSpecializeFrame", k10},
      {"annotate_ws_pipeline_depth", k10},
      {"annotate_ws_schedule", k10},
      {"ws_op", k10},
      {"cp_async_barrier_noinc", k11},
      {"create_barriers", k11},
      {"named_barrier_arrive", k11},
      {"ptx_arrive_barrier", k11},
      {"ptx_arrive_barrier_expect_tx", k11},
      {"ptx_cp_async_barrier", k11},
      {"ptx_fence_barrier_init", k11},
      {"ptx_init_barrier_thread_count", k11},
      {"ptx_wait_barrier", k11},
      {"ptx_arrive_cluster_barrier", k12},
      {"cluster_arrive", k13},
      {"cluster_arrive_relaxed", k13},
      {"cluster_wait", k13},
      {"get_cluster_dims", k14},
      {"get_cluster_extent", k14},
      {"get_cluster_extents", k14},
      {"get_cluster_ids", k14},
      {"get_cluster_size", k14},
      {"BaseTileScheduler", k15},
      {"PersistentTileScheduler", k15},
      {"clc_get_first_ctaid_x", k15},
      {"clc_get_first_ctaid_y", k15},
      {"clc_get_first_ctaid_z", k15},
      {"clc_is_canceled", k15},
      {"clc_try_cancel", k15},
      {"clc_try_cancel_multicast", k15},
      {"pdl_sync", k16},
      {"pdl_trigger", k16},
      {"JITFunc", k17},
      {"const", k17},
      {"empty", k17},
      {"lookup_param", k17},
      {"access_ptr", k18},
      {"address_of", k18},
      {"isnullptr", k18},
      {"make_tensor", k18},
      {"make_tensor_from_addr", k18},
      {"tvm_access_ptr", k18},
      {"tvm_stack_alloca", k18},
      {"StridedTensor", k19},
      {"allocate", k20},
      {"FragmentBuffer", k21},
      {"LocalBuffer", k21},
      {"Ref", k21},
      {"SharedBuffer", k21},
      {"meta_class", k21},
      {"__ldg", k22},
      {"ldg128", k22},
      {"ldg256", k22},
      {"ldg32", k22},
      {"ldg64", k22},
      {"lds128", k22},
      {"lds32", k22},
      {"lds64", k22},
      {"stg128", k23},
      {"stg256", k23},
      {"stg32", k23},
      {"stg64", k23},
      {"sts128", k23},
      {"sts32", k23},
      {"sts64", k23},
      {"abs2", k24},
      {"add2", k24},
      {"extract_lane", k24},
      {"fma2", k24},
      {"max2", k24},
      {"min2", k24},
      {"mul2", k24},
      {"sub2", k24},
      {"vectorcombine", k24},
      {"vectorhigh", k24},
      {"vectorlow", k24},
      {"fmul", k25},
      {"ieee_add", k25},
      {"ieee_fdiv", k25},
      {"ieee_fmaf", k25},
      {"ieee_mul", k25},
      {"ieee_sub", k25},
      {"fast_rcp", k26},
      {"ieee_frcp", k26},
      {"ieee_frsqrt", k26},
      {"ieee_fsqrt", k26},
      {"__cos", k27},
      {"__exp", k27},
      {"__exp10", k27},
      {"__log", k27},
      {"__log10", k27},
      {"__log2", k27},
      {"__sin", k27},
      {"__tan", k27},
      {"__ffs", k28},
      {"__fns", k28},
      {"acosh", k29},
      {"asinh", k29},
      {"atanh", k29},
      {"hypot", k29},
      {"ldexp", k29},
      {"nextafter", k29},
      {"fmod", k30},
      {"q_multiply_shift", k31},
      {"q_multiply_shift_per_axis", k31},
      {"rng_init", k32},
      {"rng_rand", k32},
      {"rng_rand_float", k32},
      {"atomic_load", k33},
      {"atomic_store", k33},
      {"atomic_or", k34},
      {"reducer_init", k35},
      {"reducer_update", k35},
      {"syncthreads_and", k36},
      {"syncthreads_count", k36},
      {"syncthreads_or", k36},
      {"match_all_sync", k37},
      {"match_any_sync", k37},
      {"activemask", k38},
      {"tvm_warp_activemask", k38},
      {"PartialFragment", k39},
      {"get_swizzle_layout", k39},
      {"make_mma_swizzle_layout", k39},
      {"index_to_coordinates", k40},
      {"annotate_compile_flags", k41},
      {"annotate_pass_configs", k41},
      {"CUDASourceCodeKernel", k42},
      {"KernelLaunchFrame", k43},
      {"get_let_value", k44},
      {"has_let_value", k44},
      {"inline", k45},
      {"tvm_thread_allreduce", k46},
      {"tvm_thread_invariant", k46},
      {"tvm_warp_shuffle", k46},
      {"tvm_warp_shuffle_down", k46},
      {"tvm_warp_shuffle_up", k46},
      {"tvm_storage_sync", k47},
      {"Any", k48},
      {"AnyDType", k48},
      {"dtype", k48},
      {"get_tvm_dtype", k48},
      {"is_f8f6f4_family", k48},
      {"is_float4", k48},
      {"is_float4_e2m1_unpacked", k48},
      {"is_float4_e2m1fn", k48},
      {"IntImm", k49},
      {"PrimExpr", k49},
      {"PrimFunc", k49},
      {"StringImm", k49},
      {"align_up", k50},
      {"undef", k51},
      {"vscale", k52},
      {"ret", k53},
      {"end_profile_intrinsic", k54},
      {"start_profile_intrinsic", k54},
      {"TVMBackendAllocWorkspace", k55},
      {"TVMBackendFreeWorkspace", k55},
      {"anylist_getitem", k55},
      {"anylist_resetitem", k55},
      {"anylist_setitem_call_cpacked", k55},
      {"anylist_setitem_call_packed", k55},
      {"call_cpacked", k55},
      {"call_cpacked_lowered", k55},
      {"call_packed_lowered", k55},
      {"call_pure_extern", k55},
      {"tvm_stack_make_array", k55},
      {"tvm_stack_make_shape", k55},
      {"tvm_struct_get", k55},
      {"tvm_struct_set", k55},
      {"tvm_throw_last_error", k55},
      {"tvm_tuple", k55},
      {"warpgroup_fence_operand", kFence},
      {"call_llvm_pure_intrin", kIntrinsic},
  });
  return kNames;
}

} // namespace temper::script
