"""Tunes operators with TVM's MetaSchedule on one thread, to be compared with: leaves for each a
folder with MetaSchedule's database and run.json, what it had found when. Needs Apache TVM 0.27
(`./dev bench --metaschedule` makes a venv for it); nothing else should be running.

    tune.py OUT OPERATOR... [--trials 256] [--seed 42] [--seconds N]

With --seconds it stops then, and says after how many trials that was.
An operator that has its records in OUT is left alone.
"""
import argparse
import json
import pathlib
import platform
import shutil
import sys
import time

import numpy  # noqa: F401  before tvm: both bring a libgomp
import tvm
from tvm import te
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.testing import te_workload
from tvm.target import codegen
from tvm.ir.utils import derived_object

# (function, arguments, what temper calls the same workload)
OPERATORS = {
    "GMM": (te_workload.batch_matmul_nkkm, (1, 1024, 1024, 1024),
            "batch_matmul B=1 M=1024 N=1024 K=1024"),
    "CBR": (te_workload.conv2d_nhwc_bn_relu, (1, 56, 56, 64, 64, 3, 1, 1),
            "tests/bench/metaschedule/conv2d_bn_relu.py N=1 H=56 W=56 CI=64 CO=64 R=3 S=3 stride=1 pad=1"),
    "SFM": (te_workload.softmax_mn, (1024, 1024), "softmax M=1024 N=1024"),
    "TBG": (te_workload.transpose_batch_matmul, (1, 128, 12, 64),
            "attention_scores B=1 L=128 HEADS=12 D=64"),
    # for trying out these scripts
    "TINY": (te_workload.batch_matmul_nkkm, (1, 128, 128, 128),
             "batch_matmul B=1 M=128 N=128 K=128"),
}


def host_target():
    """LLVM for this processor at its full vector width, one core."""
    target = {"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu(), "num-cores": 1}
    # LLVM prefers 256 bits on many processors with AVX-512.
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        if "avx512f" in info.read():
            target["vector-width"] = 512
    return tvm.target.Target(target)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


class Clock:
    """When each trial was done, and the best so far."""

    def __init__(self, seconds):
        self.begin = time.monotonic()
        self.limit = seconds
        self.gave_up = False
        self.trials = []  # [seconds since the start, its mean time in us or None]
        self.rounds = []  # [trials, seconds]

    def now(self):
        return round(time.monotonic() - self.begin, 3)

    def is_out(self):
        return self.limit > 0 and self.now() > self.limit


class OutOfTime(Exception):
    pass


def timed_runner(clock):
    """The local runner, which is told of each trial by itself so that its end can be noted."""
    inner = ms.runner.LocalRunner(
        evaluator_config=ms.runner.EvaluatorConfig(number=3, repeat=1, min_repeat_ms=100))

    @derived_object
    class TimedRunner(ms.runner.PyRunner):
        def run(self, runner_inputs):
            futures = []
            for runner_input in runner_inputs:
                if clock.is_out():  # the rest of the round is given up, what it has is kept
                    futures.append(ms.runner.local_runner.LocalRunnerFuture(
                        res=None, error_message="out of time"))
                    continue
                future = inner.run([runner_input])[0]
                result = future.result()
                seconds = None
                if result.run_secs and not result.error_msg:
                    secs = [float(value) for value in result.run_secs]
                    seconds = sum(secs) / len(secs)
                clock.trials.append([clock.now(), round(seconds * 1e6, 3) if seconds else None])
                futures.append(future)
            return futures

    return TimedRunner()


def callback(body):
    @derived_object
    class Callback(ms.measure_callback.PyMeasureCallback):
        def apply(self, task_scheduler, task_id, measure_candidates, builder_results,
                  runner_results):
            body()

    return Callback()


def callbacks(clock):
    """MetaSchedule's own; the end of the time comes once the records are kept."""
    def stop():
        if clock.is_out():
            clock.gave_up = True
            raise OutOfTime

    keep, *others = ms.measure_callback.MeasureCallback.create("default")
    return [keep, callback(stop), *others,
            callback(lambda: clock.rounds.append([len(clock.trials), clock.now()]))]


def tune(name, out, trials, per_round, seed, seconds):
    function, arguments, workload = OPERATORS[name]
    module = te.create_prim_func(function(*arguments))
    target = host_target()
    out.mkdir(parents=True, exist_ok=True)
    clock = Clock(seconds)
    stopped = f"{trials} trials"
    try:
        ms.tune_tir(module, target, work_dir=str(out), max_trials_global=trials,
                    num_trials_per_iter=per_round, builder=ms.builder.LocalBuilder(max_workers=2),
                    runner=timed_runner(clock),
                    measure_callbacks=callbacks(clock),
                    num_tuning_cores=1, seed=seed)
    except Exception:  # ours comes back as one of tvm's
        if not clock.gave_up:
            raise
        stopped = f"{seconds:.0f} s"
    wall = clock.now()
    curve = []
    for trial, (at, us) in enumerate(clock.trials, start=1):
        if us is not None and (not curve or us < curve[-1][2]):
            curve.append([trial, at, us])
    record = {
        "operator": name, "arguments": list(arguments), "temper": workload,
        "tvm": tvm.__version__, "target": str(target), "cpu": cpu_model(), "seed": seed,
        "trials_asked": trials, "trials": len(clock.trials), "stopped": stopped,
        "errors": sum(us is None for _, us in clock.trials), "wall_s": wall,
        "best_us": curve[-1][2] if curve else None,
        "curve": curve, "rounds": clock.rounds, "trials_done": clock.trials,
    }
    shutil.rmtree(out / "logs", ignore_errors=True)
    (out / "run.json").write_text(json.dumps(record) + "\n")
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", action="store_true",
                        help="only print what this processor's records are kept under")
    parser.add_argument("out", type=pathlib.Path, nargs="?")
    parser.add_argument("operators", nargs="*", help=", ".join(OPERATORS))
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--round", type=int, default=64)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--seconds", type=float, default=0)
    arguments = parser.parse_args()
    if arguments.host:
        print(codegen.llvm_get_system_cpu())
        return 0
    if unknown := set(arguments.operators) - set(OPERATORS):
        parser.error(f"no operator {', '.join(unknown)}; the known ones are {', '.join(OPERATORS)}")
    for name in arguments.operators:
        folder = arguments.out / name
        if (folder / "run.json").exists():
            print(f"{name}: has its records in {folder}")
            continue
        record = tune(name, folder, arguments.trials, arguments.round, arguments.seed,
                      arguments.seconds)
        print(f"{name}: {record['trials']} trials in {record['wall_s']:.0f} s "
              f"({record['errors']} failed), best {record['best_us']} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
