"""Random choices of every tile program's knobs, and of what its operators leave open, for a GPU on a
machine without one: each is lowered for the GPU, run as compiled loops over its threads and held
against the reference; some also warp by warp, where races and the like are found. Prints a table and
ends with 1 on a disagreement, or when there are fewer than were asked for.

    emulated.py build/bin/temper [--choices 200] [--interpret 20] [--seed 1] [--only NAME]...
"""
import argparse
import pathlib
import json
import subprocess
import tempfile
import sys
import time

# Programs whose warps have roles: only the interpreter runs them.
INTERPRETED = {"gemm_roles": pathlib.Path(__file__).with_name("gemm_roles.py")}
# Small, with edges that tiles hang over; the choices are shared out among the shapes of a workload.
SHAPES = {
    "gemm_fp16": [
        "M=96 N=80 K=72",
        "M=70 N=136 K=40 transpose_B=True",
        "M=128 N=64 K=64 dtype=bfloat16",
    ],
    "gemm_persistent": [
        "M=96 N=80 K=72 multiprocessors=3",
        "M=128 N=72 K=64 multiprocessors=2 dtype=int8",
        "M=70 N=64 K=128 multiprocessors=2 dtype=float8_e4m3",
        "M=64 N=136 K=40 multiprocessors=4 dtype=float32",
    ],
    "gemm_stream_k": [
        "M=64 N=80 K=72 multiprocessors=3",
        "M=40 N=72 K=64 multiprocessors=5 dtype=float16",
        "M=70 N=40 K=72 multiprocessors=2",
    ],
    "gemm_roles": ["M=70 N=50 K=72", "M=64 N=72 K=40", "M=33 N=64 K=136"],
    "matmul_tile": ["M=70 N=50 K=40", "M=96 N=80 K=72", "M=33 N=64 K=136", "M=70 N=50 K=136 dtype=float16"],
    "matmul_epilogue_tile": [
        "M=70 N=50 K=40",
        "M=64 N=72 K=33 epilogue=bias_relu",
        "M=40 N=96 K=64 epilogue=bias_silu",
        "M=70 N=50 K=40 epilogue=scale_residual",
    ],
    "stream_k_tile": ["M=70 N=50 K=200", "M=50 N=40 K=264", "M=33 N=34 K=520"],
    "gemv_splitk_tile": ["N=48 K=2048", "N=64 K=4096", "N=16 K=1024"],
    "gemv_int4": ["N=32 K=512", "N=48 K=256 group=64", "N=64 K=1024"],
    "gemv_int2_lut": ["N=256 K=512", "N=512 K=256", "N=128 K=1024", "N=1024 K=128"],
    "flash_attention": [
        "seq=70 heads=2 dim=32",
        "seq=50 heads=4 dim=32 causal=True groups=2",
        "seq=64 heads=1 dim=64",
    ],
    "flash_attention_fp16": [
        "seq=50 heads=1 dim=32",
        "seq=40 heads=2 dim=32 causal=True groups=2",
        "seq=33 heads=1 dim=64 dtype=float16",
    ],
    "flash_attention_varlen_tile": [
        "batch=2 longest=50 heads=2 dim=32",
        "batch=3 longest=40 heads=2 dim=32 groups=2 causal=True",
        "batch=1 longest=80 heads=1 dim=64",
    ],
    "flash_decoding_tile": [
        "batch=1 heads=8 seq=512 dim=32",
        "batch=2 heads=8 seq=256 dim=64",
        "batch=1 heads=4 seq=1024 dim=32 groups=2",
    ],
    "mla_decode_tile": [
        "batch=1 heads=32 seq=128 dim=64 pe_dim=16",
        "batch=2 heads=16 seq=256 dim=32 pe_dim=32",
        "batch=1 heads=32 seq=64 dim=128 pe_dim=16",
    ],
    "dequantize_gemm_tile": ["M=40 N=128 K=128", "M=33 N=96 K=256 format=fp4", "M=70 N=64 K=128 group=32"],
    "dequantize_swiglu_tile": ["M=20 N=64 K=256", "M=17 N=70 K=256 group=32", "M=33 N=48 K=256"],
    "grouped_gemm_tile": ["experts=3 room=40 N=50 K=96", "experts=2 room=50 N=64 K=72"],
    "conv2d_tile": [
        "N=1 H=9 W=9 CI=8 CO=20 R=3 S=3 pad=1",
        "N=2 H=8 W=7 CI=16 CO=16 R=3 S=3 stride=2 pad=1",
        "N=1 H=8 W=8 CI=12 CO=24 R=1 S=1",
    ],
    "softmax_tile": [f"M={m} N={n}" for m, n in ((10, 96), (33, 64), (7, 100), (16, 256), (40, 33), (5, 512), (64, 32))],
    "rms_norm_tile": [f"M={m} N={n}" for m, n in ((9, 64), (20, 96), (7, 100), (16, 256), (33, 33), (5, 512), (40, 32), (12, 128), (3, 1000), (18, 40))],
    "layer_norm_tile": [f"M={m} N={n}" for m, n in ((9, 64), (20, 96), (7, 100), (16, 256), (33, 33), (5, 512), (40, 32), (12, 128), (3, 1000), (18, 40))],
    "topk_tile": [f"M={m} N={n} k={k}" for m, n, k in ((10, 64, 2), (16, 32, 4), (7, 100, 3), (20, 48, 1), (33, 33, 2), (9, 128, 5), (12, 96, 2), (5, 200, 3), (40, 32, 2), (8, 64, 8))],
    "selective_scan_tile": [
        f"batch={b} length={l} channels={c} state={s}"
        for b, l, c, s in ((1, 64, 128, 4), (2, 64, 128, 8), (1, 128, 128, 4), (2, 64, 128, 2))
    ],
}


def run(temper, words, trials, interpret, options, seed):
    command = [temper, "tune", *words.split(), "--target", options.target, "--device", "emulated"]
    command += ["--trials", str(trials), "--seed", str(seed), "--json"]
    command += ["--interpret", str(interpret)] if interpret > 0 else []
    # Registers and spills are not what is asked here.
    with tempfile.TemporaryDirectory() as folder:  # its records are of no use to anybody
        command += ["--no-compile", "--db", f"{folder}/temper.db"]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"error": done.stderr.strip() or f"it ended with {done.returncode}"}


class Sum:
    """What came of a workload's choices."""

    def __init__(self):
        self.drawn = self.agreed = self.interpreted = self.disagreed = self.alike = 0
        self.refused = {}
        self.wrong = []
        self.seconds = 0.0


def workload(options, name):
    total = Sum()
    start = time.monotonic()
    shapes = SHAPES[name]
    choices = options.interpret if name in INTERPRETED else options.choices
    share = -(-choices // len(shapes))
    for number, shape in enumerate(shapes):
        left = len(shapes) - number - 1
        # What a shape with few choices lacks falls to those behind it.
        trials = max(share, choices - total.agreed - left * share)
        interpret = max(0, -(-(options.interpret - total.interpreted) // (left + 1)))
        words = f"{INTERPRETED.get(name, name)} {shape}"
        result = run(options.temper, words, trials, interpret, options, options.seed + number)
        if "drawn" not in result:
            total.disagreed += 1
            total.wrong.append(f"{words}: {result.get('error', {})}")
            continue
        total.drawn += result["drawn"]
        total.alike += result["alike"]
        total.agreed += result["right"]
        total.interpreted += result["interpreted"]
        for refusal in result["refused"]:
            if refusal["stage"] == "check":
                total.disagreed += refusal["count"]
                total.wrong.append(f"{words}: {refusal['first']}")
            else:
                key = (refusal["stage"], refusal["first"])
                total.refused[key] = total.refused.get(key, 0) + refusal["count"]
    total.seconds = time.monotonic() - start
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("temper")
    parser.add_argument("--choices", type=int, default=200)
    parser.add_argument("--interpret", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--target", default="cuda:sm_90a")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in SHAPES]
    if unknown:
        parser.error(f"no shapes for {unknown[0]}; there are {', '.join(SHAPES)}")
    line = "{:<28} {:>6} {:>7} {:>6} {:>9} {:>7} {:>6}"
    print(line.format("workload", "drawn", "refused", "agreed", "disagreed", "by warp", "s"), flush=True)
    good = True
    notes = []
    for name in options.only or SHAPES:
        total = workload(options, name)
        refused = sum(total.refused.values())
        print(
            line.format(
                name, total.drawn, refused, total.agreed, total.disagreed, total.interpreted, f"{total.seconds:.0f}"
            ),
            flush=True,
        )
        good &= total.disagreed == 0
        choices = options.interpret if name in INTERPRETED else options.choices
        if total.agreed < choices or total.interpreted < options.interpret:
            good = False
            notes.append(f"{name}: fewer than were asked for")
        notes += [f"{name}: WRONG {words}" for words in total.wrong]
        for (stage, first), count in sorted(total.refused.items(), key=lambda item: -item[1]):
            notes.append(f"{name}: {count} refused by {stage}: {first}")
    print("\n" + "\n".join(notes))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
