"""What can be said of programs for GPUs on a machine without one: random candidates of every workload
that has a space for GPUs compile for each architecture without products that the assembler serialises;
what the assembler reports of them are the facts that are kept; and how long the compiler takes for a
product by mma.sync and one by TMA and wgmma. Prints tables and ends with 1 where a bar is missed.

    offline.py build/bin [--candidates 50] [--seed 1] [--only NAME]... [--keep FOLDER]

Of each candidate that does not compile, or that the assembler serialises, FOLDER gets trace, CUDA C++
and what the compiler writes of it, as soon as it is found.
"""
import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from emulated import INTERPRETED, SHAPES  # noqa: E402

ARCHITECTURES = ["sm_80", "sm_90a"]

# Beside the tile programs: what rules for GPUs schedule, and kernels in CUDA C++. Large enough that
# tiles of every size fit.
OTHERS = {
    "matmul": ["M=256 N=256 K=128 dtype=float16", "M=128 N=256 K=128 dtype=bfloat16", "M=128 N=256 K=128 dtype=int8", "M=128 N=128 K=128"],
    "batch_matmul": ["B=2 M=128 N=128 K=128 dtype=float16", "B=2 M=64 N=64 K=64"],
    "dense": ["M=128 N=128 K=128 dtype=float16", "M=64 N=128 K=128"],
    "conv2d": ["N=1 H=14 W=14 CI=64 CO=64 R=3 S=3 stride=1 pad=1 dtype=float16", "N=1 H=14 W=14 CI=32 CO=64 R=3 S=3 stride=2 pad=1"],
    "depthwise_conv2d": ["N=1 H=28 W=28 C=32 R=3 S=3 stride=1 pad=1"],
    "attention_scores": ["B=1 L=64 HEADS=4 D=32"],
    "softmax": ["M=64 N=256", "M=16 N=1024"],
    "layer_norm": ["M=64 N=256"],
    "rms_norm": ["M=64 N=256"],
    "reduction:row_sum": ["M=64 N=512"],
    "frobenius_norm": ["B=2 M=64 N=64"],
    "gemv": ["M=256 N=512"],
    "elementwise": ["M=256 N=256"],
    "gemm_cuda": ["M=512 N=384 K=200", "M=100 N=60 K=36"],
    "conv2d_cuda": ["H=256 W=256"],
}

# (what, program, target, bar in ms of CPU time)
PRODUCTS = [
    (
        "mma.sync + cp.async, 128 x 128 x 32, 3 stages, 256 threads",
        "gemm_fp16 M=4096 N=4096 K=4096 block_M=128 block_N=128 block_K=32 num_stages=3 threads=256",
        "sm_80",
        150,
    ),
    (
        "TMA + wgmma, 128 x 256 x 64, 3 stages, a warp that copies",
        str(pathlib.Path(__file__).with_name("hopper_gemm.py")) + " M=4096 N=4096 K=4096",
        "sm_90a",
        350,
    ),
]


def kept(options, name, architecture, database):
    """Trace, source and the compiler's own words of every record that failed to compile or is
    serialised; where they lie."""
    temper = f"{options.bin}/temper"

    def said(*words):
        done = subprocess.run([temper, *words, "--db", database], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else done.stderr

    places = []
    for query in ("outcome = compile_failed", "stage = serialised"):
        listed = json.loads(said("list", "records", f"query:{query}", "--json") or "{}")
        for record in listed.get("records", []):
            number = record["record"]
            stem = options.keep / f"{name.replace(':', '_')}-{architecture}-{number[:8]}"
            options.keep.mkdir(parents=True, exist_ok=True)
            source = said("show", number, "--cuda")
            stem.with_suffix(".txt").write_text(said("show", number) + "\n" + said("show", number, "--tir"))
            stem.with_suffix(".cu").write_text(source)
            again = [sys.executable, __file__, options.bin, "--compile", str(stem.with_suffix(".cu")), "--arch", architecture]
            try:
                done = subprocess.run(again, capture_output=True, text=True, timeout=300)
                log = done.stdout + done.stderr
            except subprocess.TimeoutExpired:
                log = "the compiler was stopped after 300 s"
            stem.with_suffix(".log").write_text(log)
            places.append(str(stem) + ".{txt,cu,log}")
            print(f"  {name} for {architecture}: {record.get('error') or query}; kept as {places[-1]}", flush=True)
    return places


def candidates(options, name, architecture):
    """Of the shapes of a workload together: compiled, serialised, spilled, refused before, and what
    did not compile."""
    found = dict(compiled=0, serialised=0, spills=0, pruned=0, refused=0, failed=[])
    shapes = {**SHAPES, **OTHERS}[name]
    share = -(-options.candidates // len(shapes))
    for number, shape in enumerate(shapes):
        left = options.candidates - found["compiled"] - (len(shapes) - number - 1) * share
        with tempfile.TemporaryDirectory() as folder:
            command = [f"{options.bin}/temper", "tune", str(INTERPRETED.get(name, name)), *shape.split()]
            command += ["--target", f"cuda:{architecture}", "--device", "emulated", "--json"]
            command += ["--trials", str(max(share, left)), "--seed", str(options.seed + number)]
            command += ["--no-check"]  # whether they are right, emulated.py asks
            command += ["--jobs", str(options.jobs)] if options.jobs else []
            done = subprocess.run(command + ["--db", f"{folder}/temper.db"], capture_output=True, text=True)
            kept(options, name, architecture, f"{folder}/temper.db")
        try:
            result = json.loads(done.stdout)
            found["compiled"] += result["compiled"]
        except (ValueError, KeyError):
            found["failed"].append(f"{shape}: {done.stderr.strip() or done.stdout.strip()}")
            continue
        for refusal in result["refused"]:
            if refusal["stage"] == "compiling":
                found["failed"] += [f"{shape}: {refusal['first']}"] * refusal["count"]
            elif refusal["stage"] != "pruning":
                found["refused"] += refusal["count"]
            elif refusal["reason"] in ("serialised", "spills"):
                found[refusal["reason"]] += refusal["count"]
            else:
                found["pruned"] += refusal["count"]
    return found


class Nvrtc:
    """The compiler, with the options of codegen/cuda/nvrtc.cpp."""

    def __init__(self):
        folders = [os.environ.get("TEMPER_CUDA_LIBRARIES", ""), "/usr/local/cuda/lib64", ""]
        names = [os.path.join(folder, f"libnvrtc.so.{n}") for folder in folders for n in (13, 12)]
        for name in names:
            try:
                self.library = ctypes.CDLL(name)
                return
            except OSError:
                pass
        raise SystemExit("libnvrtc.so.13 is not found; name its folder in TEMPER_CUDA_LIBRARIES")

    def compile(self, source, architecture):
        """(milliseconds of CPU time, log, ptx)"""
        program = ctypes.c_void_p()
        create = self.library.nvrtcCreateProgram
        create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        assert create(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None) == 0
        words = [f"--gpu-architecture={architecture}", "--std=c++17", "--ptxas-options=-v"]
        words += ["--ptxas-options=-warn-spills", "--extra-device-vectorization"]
        array = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        begin = time.process_time()
        code = self.library.nvrtcCompileProgram(program, len(words), array)
        ms = 1e3 * (time.process_time() - begin)
        log = self.text(program, "ProgramLog")
        if code != 0:
            raise SystemExit(log or f"NVRTC ended with {code}")
        return ms, log, self.text(program, "PTX")

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, buffer)
        return buffer.value.decode()


def facts_of(report):
    """What `ptxas -v` says: registers, bytes spilled, bytes of the stack."""
    found = re.search(r"Used (\d+) registers", report)
    stack = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", report)
    return (int(found.group(1)), int(stack.group(2)), int(stack.group(1))) if found and stack else None


def assembled(ptx, architecture):
    """The assembler's own report, where it is installed."""
    ptxas = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
    if not os.access(ptxas, os.X_OK):
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        done = subprocess.run([ptxas, "-v", f"-arch={architecture}", file.name, "-o", "/dev/null"], capture_output=True, text=True)
    return facts_of(done.stdout + done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bin")
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("build/bench-results/offline"))
    parser.add_argument("--jobs", type=int, help="compile processes; the machine's cores unless given")
    parser.add_argument("--compile", type=pathlib.Path, help="one file of CUDA C++, and what is said of it")
    parser.add_argument("--arch", default="sm_90a")
    options = parser.parse_args()
    known = {**SHAPES, **OTHERS}
    unknown = [name for name in options.only if name not in known]
    if unknown:
        parser.error(f"no shapes for {unknown[0]}; there are {', '.join(known)}")
    nvrtc = Nvrtc()
    if options.compile:
        ms, log, _ = nvrtc.compile(options.compile.read_text(), options.arch)
        print(f"{log}\n{ms:.0f} ms of CPU time")
        return 0
    good = True

    print(f"{'product':<60} {'CPU ms':>7} {'bar':>5} {'registers':>9} {'ptxas -v':>9}")
    for what, program, architecture, bar in PRODUCTS:
        command = [f"{options.bin}/temper-opt", *program.split(), "--target", f"cuda:{architecture}", "--print", "cuda"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"{what}: {done.stderr.strip()}")
            good = False
            continue
        runs = [nvrtc.compile(done.stdout, architecture) for _ in range(6)]
        ms = sorted(run[0] for run in runs[1:])[2]
        said, own = facts_of(runs[0][1]), assembled(runs[0][2], architecture)
        same = "not here" if own is None else "equal" if own == said else f"{own}"
        print(f"{what:<60} {ms:>7.0f} {bar:>5} {said[0] if said else '?':>9} {same:>9}", flush=True)
        good &= ms <= bar and said is not None and said[1] == 0 and own in (None, said)

    line = "{:<28} {:>7} {:>8} {:>10} {:>7} {:>7} {:>8} {:>7}"
    print("\n" + line.format("workload", "for", "compiled", "serialised", "spills", "pruned", "refused", "failed"))
    notes = []
    for name in options.only or known:
        for architecture in ARCHITECTURES:
            found = candidates(options, name, architecture)
            print(
                line.format(
                    name, architecture, found["compiled"], found["serialised"], found["spills"], found["pruned"],
                    found["refused"], len(found["failed"]),
                ),
                flush=True,
            )
            good &= found["serialised"] == 0 and not found["failed"]
            if found["compiled"] < options.candidates:
                notes.append(f"{name}, {architecture}: its shapes here have no more candidates")
            notes += [f"{name}, {architecture}: {text}" for text in found["failed"]]
    print("\n" + "\n".join(notes))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
