"""Prints what ./dev bench measured: a row for each kernel, every library's time over ours, and how
that stands against the project's bars. Reads the JSON that `temper tune` and `temper compare
--peers` left in a folder as tune-NAME.json and compare-NAME.json, writes report.json there. NAME is a
number, or the operator of MetaSchedule's testing suite that the kernel is."""
import json
import math
import pathlib
import sys

PEERS = ("OpenBLAS", "BLIS", "MKL", "oneDNN")
LIKE_FOR_LIKE = "B is packed inside each call, by us as by the libraries"


def time(ns):
    if not ns:
        return "-"
    return f"{ns / 1e6:.3f} ms" if ns >= 1e6 else f"{ns / 1e3:.1f} us"


def read(folder):
    """Rows as dicts: kernel, operator of the suite, sizes, group, times and ratios by library."""
    rows = []
    for tune_file in sorted(folder.glob("tune-*.json")):
        tune = json.loads(tune_file.read_text())
        compared = json.loads((folder / tune_file.name.replace("tune", "compare")).read_text())
        sides = {side["name"]: side for side in compared["peers"][0]["contenders"]}
        ours = sides["tuned"]
        sizes = {name: value for name, value in tune["binding"].items() if isinstance(value, int)}
        peers = {name: {"ns": side["median_ns"], "ratio": side["ratio"],
                        "interval": side.get("ratio_interval")}
                 for name, side in sides.items() if name != "tuned" and side["outcome"] == "ok"}
        name = tune_file.stem.removeprefix("tune-")
        operator = None if name.isdigit() else name
        group = tune["workload"]
        if group == "matmul":
            group = "llm" if sizes["N"] == 4096 and sizes["K"] == 4096 else "gemm"
        if operator:
            group = "suite"
        rows.append({
            "operator": operator, "workload": tune["workload"], "sizes": sizes, "group": group,
            "untuned_ns": tune["untuned_ns"], "tuned_ns": ours["median_ns"],
            "gflops": ours["gflops"], "trials": tune["trials"], "seconds": tune["seconds"],
            "of_bound": tune["bound_ns"] / ours["median_ns"] if tune["bound_ns"] else None,
            "peers": peers,
            "best": min((peer["ratio"] for peer in peers.values()), default=None),
        })
    return rows


def print_table(rows):
    peers = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    cells = [("kernel", "untuned", "tuned", "GFLOP/s", "of bound", *peers, "best", "trials", "s")]
    for row in rows:
        sizes = "x".join(str(value) for value in row["sizes"].values() if value > 3)
        ratios = [f"{row['peers'][name]['ratio']:.2f}x" if name in row["peers"] else "-"
                  for name in peers]
        cells.append((f"{row['operator'] or ''} {row['workload']} {sizes}".lstrip(), time(row["untuned_ns"]), time(row["tuned_ns"]),
                      f"{row['gflops']:.1f}", f"{row['of_bound']:.0%}" if row["of_bound"] else "-",
                      *ratios, f"{row['best']:.2f}x" if row["best"] else "-", str(row["trials"]),
                      f"{row['seconds']:.0f}"))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    print("\nA library's column is its time over ours, measured in turns: above 1 ours is faster.\n"
          "'best' is against the fastest of them; 'of bound' the least time that this machine's\n"
          f"peak rate and bandwidth allow, over ours. {LIKE_FOR_LIKE}.")


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def verdicts(rows):
    """(what, measured, bar, met) for each bar whose rows were measured."""
    def of(group):
        return [row["best"] for row in rows if row["group"] == group and row["best"]]

    def against(workload, library):
        return [row["peers"][library]["ratio"] for row in rows
                if row["workload"] == workload and row["group"] != "suite"
                and library in row["peers"]]

    result = []

    def add(what, values, bar, form="{:.2f}x"):
        if values:
            measured = values if isinstance(values, float) else geometric_mean(values)
            result.append((what, form.format(measured), form.format(bar), measured >= bar))

    gemm = of("gemm")
    add("float32 GEMM, geometric mean against the best library of each shape", gemm, 1.05)
    add("float32 GEMM, the worst shape", min(gemm, default=None), 0.95)
    for row in rows:
        if row["group"] == "gemm" and row["sizes"].get("M") == 1024 and row["of_bound"]:
            add("GEMM 1024, share of the machine's peak", row["of_bound"], 0.89, "{:.0%}")
    add("LLM shapes, geometric mean against the best library of each", of("llm"), 1.0)
    add("convolution 56x56x64 against oneDNN", against("conv2d", "oneDNN"), 1.0)
    add("softmax against oneDNN", against("softmax", "oneDNN"), 1.2)
    add("layer norm against oneDNN", against("layer_norm", "oneDNN"), 1.0)
    for row in rows:
        if row["group"] != "suite":
            continue
        # Nothing is asked beyond 95 % of what the machine can do.
        ratio, share = row["peers"].get("oneDNN", {}).get("ratio"), row["of_bound"]
        if ratio and share:
            add(f"{row['operator']} against oneDNN", ratio, min(1.1, ratio * 0.95 / share))
        elif ratio:
            add(f"{row['operator']} against oneDNN", ratio, 1.1)
        elif share:
            add(f"{row['operator']}, share of the machine's bound", share, 0.95, "{:.0%}")
    return result


def main():
    folder = pathlib.Path(sys.argv[1])
    rows = read(folder)
    print_table(rows)
    print()
    found = verdicts(rows)
    width = max((len(what) for what, *_ in found), default=0)
    for what, measured, bar, met in found:
        print(f"{what.ljust(width)}  {measured:>6}  bar {bar:>6}  {'met' if met else 'NOT MET'}")
    (folder / "report.json").write_text(json.dumps(
        {"rows": rows, "verdicts": [dict(zip(("what", "measured", "bar", "met"), verdict))
                                    for verdict in found]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
