"""How long we take until MetaSchedule's best is reached, over how long it took: from its records and
what `run` left of ours.

    ratio.py RECORDS OUT [--suite]

With --suite the bars of the time are left out: they are of other operators.

RECORDS/OPERATOR/run.json: tune.py's. OUT/OPERATOR-compare.json: its best kernel timed beside ours
(`temper compare --library`). OUT/OPERATOR-cold-SEED.jsonl and -warm-SEED.jsonl: dumps of a database
after a run of ours, with OUT/....started, when its command was started, in ns.
"""
import json
import math
import pathlib
import statistics
import sys

BARS = {"cold": 1 / 30, "cold mean": 1 / 60, "warm mean": 1 / 150}
ARTIFACTS = {"cold": 100, "warm": 25}


def reached(dump, started_ns, goal_ns):
    """(seconds, distinct artifacts, trials) until a correct kernel took no more than `goal_ns`;
    seconds are infinite when none did. `dump`: lines of `temper dump`; the latest run counts."""
    rows = [json.loads(line) for line in dump]
    runs = [row for row in rows if row.get("row") == "run"]
    run = max(runs, key=lambda row: row["started_at"])
    trials = sorted((row for row in rows if row.get("row") == "measurement"
                     and row["run"] == run["id"] and row["purpose"] == "search"),
                    key=lambda row: row["sequence"])
    artifacts = set()
    for number, row in enumerate(trials, start=1):
        artifacts.add(row.get("code_hash"))
        if row["outcome"] == "ok" and row["median_ns"] <= goal_ns:
            return (row["measured_at"] - started_ns) / 1e9, len(artifacts), number
    return math.inf, len(artifacts), len(trials)


def theirs_until(run, factor=1.0):
    """Seconds until MetaSchedule itself was within `factor` of its best."""
    best = run["best_us"] * factor
    return next(at for _, at, us in run["curve"] if us <= best)


def operator_row(folder, out):
    run = json.loads((folder / "run.json").read_text())
    name = run["operator"]
    compared = json.loads((out / f"{name}-compare.json").read_text())["peers"][0]["contenders"]
    sides = {side["name"]: side for side in compared}
    theirs = sides["MetaSchedule"]
    if theirs["outcome"] != "ok":
        raise SystemExit(f"{name}: MetaSchedule's kernel did not run: {theirs['error']}")
    row = {"operator": name, "theirs_ns": theirs["median_ns"], "own_ns": sides["tuned"]["median_ns"],
           "ratio": theirs["ratio"], "interval": theirs["ratio_interval"],
           "wall_s": run["wall_s"], "trials": run["trials"], "best_us": run["best_us"],
           "cpu": run["cpu"], "within_1_percent_s": theirs_until(run, 1.01), "runs": {}}
    for kind in ("cold", "warm"):
        found = []
        for dump in sorted(out.glob(f"{name}-{kind}-*.jsonl")):
            started = int(dump.with_suffix(".started").read_text())
            with dump.open(encoding="utf-8") as lines:
                found.append(reached(lines, started, row["theirs_ns"]))
        if found:
            row["runs"][kind] = {
                "seconds": [seconds for seconds, *_ in found],
                "median_s": statistics.median(seconds for seconds, *_ in found),
                "artifacts": statistics.median(count for _, count, _ in found),
                "reached": sum(math.isfinite(seconds) for seconds, *_ in found)}
    return row


def fraction(value):
    return "never" if math.isinf(value) else f"1/{1 / value:.0f}" if value > 0 else "-"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if all(
        map(math.isfinite, values)) else math.inf


def main():
    records, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    rows = [operator_row(folder, out) for folder in sorted(records.iterdir())
            if (folder / "run.json").exists() and
            (out / f"{json.loads((folder / 'run.json').read_text())['operator']}-compare.json").exists()]
    print(f"MetaSchedule's records: {rows[0]['cpu'] if rows else 'none'}")
    for row in rows:
        print(f"{row['operator']}: its best of {row['trials']} trials in {row['wall_s']:.0f} s "
              f"({row['best_us']:.0f} us by its own clock, within 1 % of it after "
              f"{row['within_1_percent_s']:.0f} s) takes {row['theirs_ns'] / 1e3:.0f} us here, ours "
              f"{row['own_ns'] / 1e3:.0f} us: {row['ratio']:.2f}x "
              f"[{row['interval'][0]:.2f}, {row['interval'][1]:.2f}]")
        for kind, runs in row["runs"].items():
            seconds = ", ".join("never" if math.isinf(s) else f"{s:.1f}" for s in runs["seconds"])
            print(f"  {kind}: reached after {seconds} s: {fraction(runs['median_s'] / row['wall_s'])}"
                  f" of its time, {runs['artifacts']:.0f} distinct artifacts")
    found = []
    if rows:
        mean = geometric_mean([row["ratio"] for row in rows])
        found.append(("ours against its best, geometric mean", f"{mean:.2f}x", "1.20x", mean >= 1.2))
    for kind in () if "--suite" in sys.argv else ("cold", "warm"):
        shares = [row["runs"][kind]["median_s"] / row["wall_s"] for row in rows if kind in row["runs"]]
        if not shares:
            continue
        if kind == "cold":
            worst = max(shares)
            found.append(("cold, the slowest operator", fraction(worst), "1/30",
                          worst <= BARS["cold"]))
        mean = geometric_mean(shares)
        bar = BARS[f"{kind} mean"]
        found.append((f"{kind}, geometric mean", fraction(mean), fraction(bar), mean <= bar))
        most = max(row["runs"][kind]["artifacts"] for row in rows if kind in row["runs"])
        found.append((f"{kind}, artifacts until there, the most", f"{most:.0f}",
                      f"{ARTIFACTS[kind]}", most <= ARTIFACTS[kind] and math.isfinite(mean)))
    print()
    width = max((len(what) for what, *_ in found), default=0)
    for what, measured, bar, met in found:
        print(f"{what.ljust(width)}  {measured:>7}  bar {bar:>6}  {'met' if met else 'NOT MET'}")
    (out / "ratio.json").write_text(json.dumps(
        {"rows": rows, "verdicts": [dict(zip(("what", "measured", "bar", "met"), verdict))
                                    for verdict in found]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
