"""Tunes operators with TVM's MetaSchedule on one thread, to be compared with: leaves for each a
folder with MetaSchedule's database and run.json, what it had found when. Needs Apache TVM 0.27
(`./dev bench --metaschedule` makes a venv for it); nothing else should be running.

    tune.py OUT OPERATOR... [--trials 256] [--seed 42] [--seconds N]

With --seconds it stops then, and says after how many trials that was. Each operator has a process
of its own: one in which nothing is measured for --stall seconds is given up with what it has.
An operator that has its records in OUT is left alone.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import platform
import shutil
import signal
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
    # the suite's, each at its first shape; TBG is above
    "C1D": (te_workload.conv1d_nlc, (1, 256, 64, 128, 3, 2, 1),
            "conv1d N=1 L=256 CI=64 CO=128 R=3 stride=2 pad=1"),
    "C2D": (te_workload.conv2d_nhwc, (1, 224, 224, 3, 64, 7, 2, 3),
            "grouped_conv2d N=1 H=224 W=224 CI=3 CO=64 R=7 S=7 stride=2 pad=3"),
    "C3D": (te_workload.conv3d_ndhwc, (1, 16, 224, 224, 3, 64, 7, 2, 3),
            "conv3d N=1 D=16 H=224 W=224 CI=3 CO=64 K=7 stride=2 pad=3"),
    "CAP": (te_workload.conv2d_capsule_nhwijc, (1, 16, 16, 32, 32, 3, 2, 1),
            "capsule_conv2d N=1 H=16 W=16 CI=32 CO=32 R=3 S=3 stride=2 pad=1"),
    "CBR-224": (te_workload.conv2d_nhwc_bn_relu, (1, 224, 224, 3, 64, 7, 2, 3),
                "tests/bench/metaschedule/conv2d_bn_relu.py N=1 H=224 W=224 CI=3 CO=64 R=7 S=7 stride=2 pad=3"),
    "DEP": (te_workload.depthwise_conv2d_nhwc, (1, 112, 112, 32, 3, 1, 1),
            "depthwise_conv2d N=1 H=112 W=112 C=32 R=3 S=3 pad=1"),
    "DIL": (te_workload.conv2d_nhwc, (1, 224, 224, 3, 64, 7, 2, 3, 2),
            "grouped_conv2d N=1 H=224 W=224 CI=3 CO=64 R=7 S=7 stride=2 pad=3 dilation=2"),
    "GMM-128": (te_workload.batch_matmul_nkkm, (1, 128, 128, 128),
                "batch_matmul B=1 M=128 N=128 K=128"),
    "GRP": (te_workload.conv2d_nhwc, (1, 56, 56, 64, 128, 3, 2, 1, 1, 4),
            "grouped_conv2d N=1 H=56 W=56 CI=64 CO=128 R=3 S=3 G=4 stride=2 pad=1"),
    "NRM": (te_workload.norm_bmn, (1, 256, 256), "frobenius_norm B=1 M=256 N=256"),
    "SFM-256": (te_workload.softmax_mn, (256, 256), "softmax M=256 N=256"),
    "T2D": (te_workload.conv2d_transpose_nhwc, (1, 4, 4, 512, 256, 4, 2, 1),
            "transposed_conv2d N=1 H=4 W=4 CI=512 CO=256 R=4 S=4 stride=2 pad=1"),
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


# A tuning process leaves with this when its time was out.
OUT_OF_TIME = 3


def local_builder():
    """Its workers import TVM's tensor intrinsics once a round, half a minute on a slow machine:
    with the default limit of 30 s every build would fail there."""
    return ms.builder.LocalBuilder(max_workers=2, timeout_sec=120)


class Clock:
    """When each trial was done, kept in a file as well: of a process that is killed it is all that
    is left."""

    def __init__(self, seconds, kept):
        self.begin = time.monotonic()
        self.kept = kept
        self.limit = seconds
        self.gave_up = False
        self.trials = []  # [seconds since the start, its mean time in us or None]
        self.rounds = []  # [trials, seconds]

    def now(self):
        return round(time.monotonic() - self.begin, 3)

    def is_out(self):
        return self.limit > 0 and self.now() > self.limit

    def note(self, us):
        self.trials.append([self.now(), us])
        self.keep()

    def keep(self):
        new = self.kept.with_suffix(".new")
        new.write_text(json.dumps({"trials": self.trials, "rounds": self.rounds}))
        new.replace(self.kept)


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
                clock.note(round(seconds * 1e6, 3) if seconds else None)
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

    def end_round():
        clock.rounds.append([len(clock.trials), clock.now()])
        clock.keep()

    keep, *others = ms.measure_callback.MeasureCallback.create("default")
    return [keep, callback(stop), *others, callback(end_round)]


def tune(name, out, options):
    """In a process group of its own: MetaSchedule's workers end with it."""
    os.setsid()
    function, arguments, _ = OPERATORS[name]
    clock = Clock(options.seconds, out / "progress.json")
    try:
        ms.tune_tir(te.create_prim_func(function(*arguments)), host_target(), work_dir=str(out),
                    max_trials_global=options.trials, num_trials_per_iter=options.round,
                    builder=local_builder(), runner=timed_runner(clock),
                    measure_callbacks=callbacks(clock), num_tuning_cores=1, seed=options.seed)
    except Exception:  # ours comes back as one of tvm's
        if not clock.gave_up:
            raise
        sys.exit(OUT_OF_TIME)


def watched(name, out, options):
    """Runs tune() in a child: what it left, and why it stopped."""
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "progress.json"
    kept.unlink(missing_ok=True)
    child = multiprocessing.get_context("spawn").Process(target=tune, args=(name, out, options))
    child.start()
    seen, seen_at = None, time.monotonic()
    stalled = False
    while child.is_alive() and not stalled:
        child.join(1)
        now = kept.stat().st_mtime_ns if kept.exists() else None
        if now != seen:
            seen, seen_at = now, time.monotonic()
        stalled = time.monotonic() - seen_at > options.stall
    if stalled:
        os.killpg(child.pid, signal.SIGKILL)
        child.join()
    elif child.exitcode not in (0, OUT_OF_TIME):
        sys.exit(f"{name}: tuning failed")
    progress = json.loads(kept.read_text()) if kept.exists() else {"trials": [], "rounds": []}
    stopped = (f"nothing for {options.stall:.0f} s" if stalled else
               f"{options.seconds:.0f} s" if child.exitcode == OUT_OF_TIME else
               f"{options.trials} trials")
    return progress, stopped


def record_of(name, out, options):
    function, arguments, workload = OPERATORS[name]
    progress, stopped = watched(name, out, options)
    trials, rounds = progress["trials"], progress["rounds"]
    curve = []
    for trial, (at, us) in enumerate(trials, start=1):
        if us is not None and (not curve or us < curve[-1][2]):
            curve.append([trial, at, us])
    record = {
        "operator": name, "arguments": list(arguments), "temper": workload,
        "tvm": tvm.__version__, "target": str(host_target()), "cpu": cpu_model(),
        "seed": options.seed, "trials_asked": options.trials, "trials": len(trials),
        "stopped": stopped, "errors": sum(us is None for _, us in trials), "wall_s": max([at for at, _ in trials] + [at for _, at in rounds], default=0),
        "best_us": curve[-1][2] if curve else None,
        "curve": curve, "rounds": rounds, "trials_done": trials,
    }
    shutil.rmtree(out / "logs", ignore_errors=True)
    (out / "progress.json").unlink(missing_ok=True)
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
    parser.add_argument("--stall", type=float, default=180)
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
        record = record_of(name, folder, arguments)
        print(f"{name}: {record['trials']} trials in {record['wall_s']:.0f} s "
              f"({record['errors']} failed, stopped by {record['stopped']}), "
              f"best {record['best_us']} us", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
