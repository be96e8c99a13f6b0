"""Prints how tile programs stand against the project's bars: reads what `tests/bench/run --tile` left
in a folder, writes tile.json there."""
import json
import pathlib
import sys

import report


def verdicts(folder):
    """(what, measured, bar, met) for each bar whose figures are there."""
    def load(name):
        try:
            return json.loads((folder / f"{name}.json").read_text())
        except FileNotFoundError:
            return None

    def ratio(compared, name):
        """Of the other side's time over ours."""
        sides = compared["peers"][0]["contenders"] if compared else []
        return next((side["ratio"] for side in sides
                     if side["name"].startswith(name) and side["outcome"] == "ok"), None)

    def time(name):
        tuned = load(name)
        return tuned["best"]["median_ns"] if tuned and tuned.get("best") else None

    result = []

    def add(what, measured, bar):
        if measured:
            result.append((what, f"{measured:.2f}x", f"{bar:.2f}x", measured >= bar))

    add("tile GEMM 1024 against the best schedule of the same product",
        ratio(load("gemm-compare"), "schedule"), 0.95)
    for name, how in (("attention", "products of float32"),
                      ("attention-bf16x3", "by three parts of bfloat16")):
        add(f"FlashAttention, 8 heads x 2048 x 64 float32, {how}, against PyTorch",
            ratio(load(f"{name}-compare"), "PyTorch"), 1.5)
    plain = time("gemv")
    for name, what, bar in (("gemv-int4", "int4", 3), ("gemv-int2", "2-bit by lookup table", 5)):
        ours = time(name)
        add(f"GEMV 4096 in {what} against float32, cold caches", plain and ours and plain / ours, bar)
    for run in (load("lowering") or {"benchmarks": []})["benchmarks"]:
        if run["time_unit"] == "ms":
            result.append((run["name"].replace("_", " "), f"{run['real_time']:.1f} ms", "20 ms",
                           run["real_time"] <= 20))
    return result


def main():
    folder = pathlib.Path(sys.argv[1])
    found = verdicts(folder)
    width = max((len(what) for what, *_ in found), default=0)
    print(f"{report.cpu_model()}, one thread")
    for what, measured, bar, met in found:
        print(f"{what.ljust(width)}  {measured:>8}  bar {bar:>6}  {'met' if met else 'NOT MET'}")
    (folder / "tile.json").write_text(json.dumps(
        {"cpu": report.cpu_model(),
         "verdicts": [dict(zip(("what", "measured", "bar", "met"), verdict)) for verdict in found]},
        indent=2) + "\n")


if __name__ == "__main__":
    main()
