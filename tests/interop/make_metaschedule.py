"""Makes the small MetaSchedule database that tests read (tests/tuner/data/metaschedule).

    python make_metaschedule.py FOLDER

Two workloads: a product of matrices with candidates of TVM's own design spaces, one of which
"failed", and one with index maps and primitives that MetaSchedule's CPU rules do not use. The times
are made up.
"""
import os
import sys

from tvm import s_tir
from tvm.s_tir import meta_schedule as ms
from tvm.script import from_source
from tvm.script import ir as I
from tvm.script import tirx as T
from tvm.target import Target


@I.ir_module
class Product:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((32, 16), "float32"), B: T.Buffer((16, 48), "float32"),
             D: T.Buffer((32, 48), "float32")):
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        C = T.sblock_alloc_buffer((32, 48))
        for i, j, k in T.grid(32, 48, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
        for i, j in T.grid(32, 48):
            with T.sblock("D"):
                vi, vj = T.axis.remap("SS", [i, j])
                D[vi, vj] = T.max(C[vi, vj], T.float32(0))


@I.ir_module
class Windows:
    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((18, 8), "float32"), Y: T.Buffer((16, 8), "float32")):
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        P = T.sblock_alloc_buffer((20, 8))
        for i, j in T.grid(20, 8):
            with T.sblock("P"):
                vi, vj = T.axis.remap("SS", [i, j])
                P[vi, vj] = T.if_then_else(1 <= vi and vi < 19, T.exp(X[vi - 1, vj]), T.float32(0))
        for i, j, k in T.grid(16, 8, 4):
            with T.sblock("Y"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    Y[vi, vj] = T.float32(0)
                Y[vi, vj] = Y[vi, vj] + P[vi + vk, vj]


# Without the places in this file, which the workloads would carry along.
Product = from_source(Product.script())
Windows = from_source(Windows.script())


def product_traces(target):
    context = ms.TuneContext(
        mod=Product, target=target, space_generator="post-order-apply", num_threads=1, rand_state=7)
    for schedule in context.generate_design_space():
        for postprocess in context.space_generator.postprocs:
            postprocess.apply(schedule)
        yield schedule.trace


def windows_traces():
    schedule = s_tir.Schedule(Windows)
    y = schedule.get_sblock("Y")
    schedule.reindex(y, ("read", 0))
    schedule.transform_layout(y, ("read", 0), lambda i, k, j: (j // 4, i, k, j % 4))
    schedule.transform_block_layout(y, lambda i, j, k: (j, k, i))
    i = schedule.get_loops(schedule.get_sblock("P"))[0]
    factors = schedule.sample_perfect_tile(i, n=2, max_innermost_factor=16, decision=[4, 5])
    schedule.split(i, factors)
    yield schedule.trace
    schedule = s_tir.Schedule(Windows)
    cache = schedule.reindex_cache_write(
        schedule.get_sblock("Y"), 0, "global", lambda i, j, k: (j, i))
    schedule.storage_align(schedule.get_sblock("Y"), 0, 0, 32, 8)
    schedule.vectorize(schedule.get_loops(cache)[-1])
    yield schedule.trace


def main(folder):
    os.makedirs(folder, exist_ok=True)
    target = Target({"kind": "llvm", "mcpu": "skylake-avx512", "num-cores": 2})
    database = ms.database.JSONDatabase(work_dir=folder)
    for module, traces in [(Product, list(product_traces(target))), (Windows, list(windows_traces()))]:
        workload = database.commit_workload(module)
        for number, trace in enumerate(traces):
            seconds = [1e10] if number == 1 and module is Product else [2e-5 - 1e-6 * number, 2.1e-5]
            database.commit_tuning_record(ms.database.TuningRecord(
                trace, workload, seconds, target, ms.arg_info.ArgInfo.from_entry_func(module)))


main(sys.argv[1])
