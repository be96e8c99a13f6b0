"""Prints what ./dev bench measured: a row for each kernel, every library's time over ours, and how
that stands against the project's bars. Reads the JSON that `temper tune` and `temper compare
--peers` left in a folder as tune-NAME.json and compare-NAME.json, and aa.json of temper_aa; writes
report.json and the plot report.svg there. NAME is a number, or the operator of MetaSchedule's testing
suite that the kernel is."""
import html
import json
import math
import pathlib
import platform
import sys

PEERS = ("OpenBLAS", "BLIS", "MKL", "oneDNN", "PyTorch")
# Told apart by colour-blind readers and, by their shapes, in print.
COLOURS = {"OpenBLAS": "#0072b2", "BLIS": "#56b4e9", "MKL": "#009e73", "oneDNN": "#d55e00",
           "PyTorch": "#cc79a7"}
LIKE_FOR_LIKE = ("B is packed inside each call, by us as by the libraries; where a row says\n"
                 "'ahead', ours and oneDNN's is packed before the calls")


def time(ns):
    if not ns:
        return "-"
    return f"{ns / 1e6:.3f} ms" if ns >= 1e6 else f"{ns / 1e3:.1f} us"


def share_of_bound(tune, sides):
    """Of the arithmetic's peak as it was in the same minute, where that was measured; else of what
    the machine did at its best."""
    peak = sides.get("peak")
    if peak and peak["outcome"] == "ok":
        return peak["ratio"]
    return tune["bound_ns"] / sides["tuned"]["median_ns"] if tune["bound_ns"] else None


def read(folder):
    """Rows as dicts: kernel, operator of the suite, sizes, group, times and ratios by library."""
    rows = []
    for tune_file in sorted(folder.glob("tune-*.json")):
        tune = json.loads(tune_file.read_text())
        compared = json.loads((folder / tune_file.name.replace("tune", "compare")).read_text())
        sides = {side["name"]: side for side in compared["peers"][0]["contenders"]}
        ours = sides["tuned"]
        sizes = {name: value for name, value in tune["binding"].items() if isinstance(value, int)}
        # Where an operand is constant, names go on with how the library takes it: "(packed ahead)".
        peers = {name.partition(" (")[0]: {"ns": side["median_ns"], "ratio": side["ratio"],
                                           "ahead": name.endswith("(packed ahead)"),
                                           "interval": side.get("ratio_interval"),
                                           "settings": side.get("settings") or {}}
                 for name, side in sides.items()
                 if name not in ("tuned", "peak") and side["outcome"] == "ok"}
        name = tune_file.stem.removeprefix("tune-")
        operator = None if name.isdigit() else name
        group = tune["workload"]
        types = tune["binding"].get("dtype", "float32")
        if tune["binding"].get("b_dtype"):
            types += " x " + tune["binding"]["b_dtype"]
        ahead = tune["binding"].get("constant")
        if group == "matmul":
            if sizes["N"] == 4096 and sizes["K"] == 4096:
                group = "llm"
            elif types != "float32":
                group = "low precision gemm"
            else:
                group = "gemm packed ahead" if ahead else "gemm"
        if operator:
            group = "suite"
        rows.append({
            "operator": operator, "workload": tune["workload"], "sizes": sizes, "group": group,
            "types": types, "constant": ahead, "cache": compared["peers"][0].get("cache", "hot"),
            "threads": tune.get("threads", 1),
            "untuned_ns": tune["untuned_ns"], "tuned_ns": ours["median_ns"],
            "gflops": ours["gflops"], "trials": tune["trials"], "seconds": tune["seconds"],
            "of_bound": share_of_bound(tune, sides),
            "peers": peers,
            # Like against like: who packs in each call is no peer of who need not.
            "best": min((peer["ratio"] for peer in peers.values() if peer["ahead"] == bool(ahead)),
                        default=None),
        })
    return rows


def kernel_name(row):
    sizes = "x".join(str(value) for value in row["sizes"].values() if value > 3)
    types = "" if row["types"] == "float32" else " " + row["types"]
    ahead = f" {row['constant']} ahead" if row["constant"] else ""
    cold = " cold" if row["cache"] == "cold" else ""
    return f"{row['operator'] or ''} {row['workload']} {sizes}{types}{ahead}{cold}".lstrip()


def print_table(rows):
    peers = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    cells = [("kernel", "untuned", "tuned", "GFLOP/s", "of bound", *peers, "best", "trials", "s")]
    for row in rows:
        ratios = [f"{row['peers'][name]['ratio']:.2f}x" if name in row["peers"] else "-"
                  for name in peers]
        cells.append((kernel_name(row), time(row["untuned_ns"]), time(row["tuned_ns"]),
                      f"{row['gflops']:.1f}" if row["gflops"] else "-",
                      f"{row['of_bound']:.0%}" if row["of_bound"] else "-",
                      *ratios, f"{row['best']:.2f}x" if row["best"] else "-", str(row["trials"]),
                      f"{row['seconds']:.0f}"))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    for name in peers:
        # Paths say which library; what else is set says how it was told to run.
        settings = next(row["peers"][name]["settings"] for row in rows if name in row["peers"])
        chosen = [f"{key}={value}" for key, value in sorted(settings.items()) if "/" not in value]
        if chosen:
            print(f"{name}: {' '.join(chosen)}")
    print("\nA library's column is its time over ours, measured in turns: above 1 ours is faster.\n"
          "'best' is against the fastest of them; 'of bound' the least time that this machine's\n"
          f"peak rate (measured in turns with ours) and bandwidth allow, over ours. {LIKE_FOR_LIKE}.")


def threads_of(rows):
    threads = max((row["threads"] for row in rows), default=1)
    return "one thread" if threads == 1 else f"{threads} threads"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def verdicts(rows):
    """(what, measured, bar, met) for each bar whose rows were measured."""
    def of(group, types="float32"):
        return [row["best"] for row in rows
                if row["group"] == group and row["types"] == types and row["best"]]

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
        if row["group"] == "gemm" and row["sizes"]["M"] == 512 and row["seconds"]:
            add("trials a second at GEMM 512", row["trials"] / row["seconds"], 25.0, "{:.1f}")
    for row in rows:
        if row["sizes"].get("M") == 1024 and row["of_bound"]:
            if row["group"] == "gemm":
                add("GEMM 1024, share of the machine's peak", row["of_bound"], 0.89, "{:.0%}")
            if row["group"] == "gemm packed ahead":
                add("GEMM 1024 with B packed ahead, share of the machine's peak", row["of_bound"],
                    0.93, "{:.0%}")
    for types in ("float32", "bfloat16"):
        add(f"LLM shapes in {types}, geometric mean against the best library of each",
            of("llm", types), 1.0)
    for row in rows:
        if row["group"] == "low precision gemm" and "oneDNN" in row["peers"]:
            add(f"GEMM {row['sizes']['M']} in {row['types']} against oneDNN",
                row["peers"]["oneDNN"]["ratio"], 1.0)
    add("convolution 56x56x64 against oneDNN", against("conv2d", "oneDNN"), 1.0)
    add("softmax against oneDNN", against("softmax", "oneDNN"), 1.2)
    add("layer norm against oneDNN", against("layer_norm", "oneDNN"), 1.0)
    for row in rows:
        if row["group"] != "suite":
            continue
        # Nothing is asked beyond 95 % of what the machine can do.
        ratio, peer = min(((row["peers"][name]["ratio"], name) for name in ("oneDNN", "PyTorch")
                           if name in row["peers"]), default=(None, None))
        share = row["of_bound"]
        if ratio and share:
            add(f"{row['operator']} against {peer}", ratio, min(1.1, ratio * 0.95 / share))
        elif ratio:
            add(f"{row['operator']} against {peer}", ratio, 1.1)
        elif share:
            add(f"{row['operator']}, share of the machine's bound", share, 0.95, "{:.0%}")
    return result


def aa_verdicts(folder):
    """Of the kernels compared with themselves, and with themselves slowed by 2 %."""
    try:
        kernels = json.loads((folder / "aa.json").read_text())["kernels"]
    except FileNotFoundError:
        return []
    times = sum(kernel["times"] for kernel in kernels)

    def share(name):
        return sum(kernel[name] * kernel["times"] for kernel in kernels) / times

    different, slowed = share("called_different"), share("slowed_found")
    return [(f"a kernel against itself {times} times, called different", f"{different:.1%}", "8.0%",
             different <= 0.08),
            ("the same slowed by 2 %, found", f"{slowed:.1%}", "80.0%", slowed >= 0.8)]


def cpu_model():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def marker(shape, x, y, colour):
    r = 4.5
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    if shape == 1:
        return (f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}" '
                f'fill="{colour}"/>')
    corners = {2: [(0, -r), (r, r), (-r, r)], 3: [(0, -r), (r, 0), (0, r), (-r, 0)],
               4: [(-r, -r), (r, -r), (0, r)]}[shape]
    points = " ".join(f"{x + dx * 1.2:.1f},{y + dy * 1.2:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def plot(rows, title):
    """An SVG: a line for each kernel, on it every library's time over ours with its interval, on a
    logarithmic scale; right of 1 ours is faster."""
    peers = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    ends = [end for row in rows for peer in row["peers"].values()
            for end in (peer["interval"] or [peer["ratio"]]) if end]
    # Where the machine ends belongs into the picture too.
    ends += [row["of_bound"] for row in rows if row["of_bound"]]
    low, high = min([0.8, *ends]) / 1.05, min(max([1.25, *ends]) * 1.05, 64)
    line, top, left, wide = 26, 74, 300, 620
    bottom = top + line * len(rows)

    def at(ratio):
        ratio = min(max(ratio, low), high)
        return left + wide * (math.log(ratio) - math.log(low)) / (math.log(high) - math.log(low))

    def text(x, y, what, anchor="start", size=12, more=""):
        return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{more}>'
                f"{html.escape(what)}</text>")

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 90}" '
             f'height="{bottom + 60}" font-family="sans-serif" fill="#222">',
             '<rect width="100%" height="100%" fill="#fff"/>',
             text(16, 24, f"Time of each library over temper's, {threads_of(rows)}", size=15,
                  more=' font-weight="bold"'),
             text(16, 43, title, size=11, more=' fill="#666"')]
    x = left
    for name in peers:
        parts += [marker(PEERS.index(name), x, 58, COLOURS[name]), text(x + 9, 62, name)]
        x += 34 + 7.5 * len(name)
    parts += [f'<line x1="{x}" y1="52" x2="{x}" y2="64" stroke="#222" stroke-width="2"/>',
              text(x + 8, 62, "what this machine could do at best")]
    ticks = [tick for tick in (0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24,
                               32, 48, 64) if low <= tick <= high]
    last = -math.inf
    for tick in ticks:
        heavy = tick == 1
        parts.append(f'<line x1="{at(tick):.1f}" y1="{top - 4}" x2="{at(tick):.1f}" y2="{bottom}" '
                     f'stroke="{"#444" if heavy else "#ddd"}" stroke-width="{1.5 if heavy else 1}"/>')
        if at(tick) - last > 30 or heavy:
            parts.append(text(at(tick), bottom + 16, f"{tick:g}x", "middle", 11))
            last = at(tick)
    parts += [text(at(1) - 8, bottom + 36, "\u2190 library faster", "end", 11),
              text(at(1) + 8, bottom + 36, "temper faster \u2192", "start", 11)]
    for number, row in enumerate(rows):
        y = top + line * (number + 0.5)
        if number % 2 == 0:
            parts.append(f'<rect x="8" y="{y - line / 2:.1f}" width="{left + wide + 74}" '
                         f'height="{line}" fill="#000" fill-opacity="0.035"/>')
        parts.append(text(16, y + 4, kernel_name(row)))
        parts.append(text(left + wide + 14, y + 4, time(row["tuned_ns"])))
        if row["of_bound"]:
            x = at(row["of_bound"])
            parts.append(f'<line x1="{x:.1f}" y1="{y - 8:.1f}" x2="{x:.1f}" y2="{y + 8:.1f}" '
                         f'stroke="#222" stroke-width="2"/>')
        for index, name in enumerate(peers):
            if name not in row["peers"]:
                continue
            peer = row["peers"][name]
            # Each on a height of its own, so that equal ones do not cover each other.
            height = y + (index - (len(peers) - 1) / 2) * 3
            if peer["interval"] and None not in peer["interval"]:
                begin, end = map(at, peer["interval"])
                parts.append(f'<line x1="{begin:.1f}" y1="{height:.1f}" x2="{end:.1f}" '
                             f'y2="{height:.1f}" stroke="{COLOURS[name]}" stroke-width="1.5"/>')
            parts.append(marker(PEERS.index(name), at(peer["ratio"]), height, COLOURS[name]))
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    rows = read(folder)
    print_table(rows)
    print()
    found = verdicts(rows) + aa_verdicts(folder)
    width = max((len(what) for what, *_ in found), default=0)
    for what, measured, bar, met in found:
        print(f"{what.ljust(width)}  {measured:>6}  bar {bar:>6}  {'met' if met else 'NOT MET'}")
    if rows:
        (folder / "report.svg").write_text(plot(rows, cpu_model()), encoding="utf-8")
        print(f"\nplot: {folder / 'report.svg'}")
    (folder / "report.json").write_text(json.dumps(
        {"cpu": cpu_model(), "rows": rows, "verdicts": [dict(zip(("what", "measured", "bar", "met"), verdict))
                                    for verdict in found]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
