"""Prints the demo's table from the JSON that `temper tune` and `temper compare --peers` left."""
import json
import pathlib
import sys


def time(ns):
    if not ns:
        return "-"
    return f"{ns / 1e6:.3f} ms" if ns >= 1e6 else f"{ns / 1e3:.1f} us"


folder = pathlib.Path(sys.argv[1])
rows = [("kernel", "untuned", "tuned", "GFLOP/s", "of bound", "OpenBLAS", "against it", "oneDNN", "against it",
         "trials", "seconds")]
for tune_file in sorted(folder.glob("tune-*.json")):
    tune = json.loads(tune_file.read_text())
    compared = json.loads((folder / tune_file.name.replace("tune", "compare")).read_text())
    sides = {side["name"]: side for side in compared["peers"][0]["contenders"]}
    binding = tune["binding"]
    sizes = "x".join(str(value) for value in binding.values()
                     if isinstance(value, int) and not isinstance(value, bool) and value > 3)

    def side(name):
        entry = sides.get(name)
        if not entry or entry["outcome"] != "ok":
            return "-", "-"
        # ratio: time of the peer over time of ours, from interleaved rounds.
        return time(entry["median_ns"]), f"{entry['ratio']:.2f}x"

    openblas, onednn = side("OpenBLAS"), side("oneDNN")
    tuned = sides["tuned"]
    # The arithmetic's peak as it was in the same minute, where that was measured.
    if side("peak")[0] != "-":
        bound = f"{sides['peak']['ratio']:.0%}"
    else:
        bound = f"{tune['bound_ns'] / tuned['median_ns']:.0%}" if tune["bound_ns"] else "-"
    rows.append((f"{tune['workload']} {sizes}", time(tune["untuned_ns"]), time(tuned["median_ns"]),
                 f"{tuned['gflops']:.1f}" if tuned["gflops"] else "-", bound, openblas[0], openblas[1], onednn[0], onednn[1],
                 str(tune["trials"]), f"{tune['seconds']:.0f}"))
widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
for row in rows:
    print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                    for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
print("\n'against it': the library's time over ours, measured in turns; above 1 ours is faster.\n"
      "'of bound': the least time that this machine's peak rate and bandwidth allow, over ours.")
