"""What ratio.py says of runs made up here."""
import json
import math
import pathlib
import tempfile
import unittest

import ratio


def dump(times, run="r1", started=1_000, outcome="ok"):
    """As `temper dump` writes a run; one trial a second, each with code of its own."""
    rows = [{"row": "run", "id": run, "started_at": started}]
    rows += [{"row": "measurement", "run": run, "sequence": i, "outcome": outcome,
              "purpose": "search", "median_ns": ns, "code_hash": f"{run}{i}",
              "measured_at": started + (i + 1) * 1_000_000_000} for i, ns in enumerate(times)]
    return [json.dumps(row) for row in rows]


class Reached(unittest.TestCase):
    def test_the_first_trial_that_is_as_fast_counts(self):
        self.assertEqual(ratio.reached(dump([300, 200, 90, 50]), 1_000, 100), (3.0, 3, 3))

    def test_equal_code_is_one_artifact(self):
        lines = dump([300, 200, 90])
        self.assertEqual(ratio.reached([line.replace("r11", "r10") for line in lines], 1_000, 100),
                         (3.0, 2, 3))

    def test_what_failed_reaches_nothing(self):
        self.assertEqual(ratio.reached(dump([50, 50], outcome="wrong_result"), 1_000, 100),
                         (math.inf, 2, 2))

    def test_runs_before_the_latest_do_not_count(self):
        lines = dump([50], "r0", 0) + dump([300, 90], "r1", 5_000)
        self.assertEqual(ratio.reached(lines, 5_000, 100), (2.0, 2, 2))


class Rows(unittest.TestCase):
    def test_the_median_of_the_seeds_over_their_wall_time(self):
        with tempfile.TemporaryDirectory() as text:
            out = pathlib.Path(text)
            folder = out / "records" / "GMM"
            folder.mkdir(parents=True)
            (folder / "run.json").write_text(json.dumps({
                "operator": "GMM", "wall_s": 300.0, "trials": 256, "best_us": 0.1, "cpu": "x",
                "curve": [[1, 10.0, 0.2], [70, 100.0, 0.1005], [200, 280.0, 0.1]]}))
            sides = [{"name": "tuned", "outcome": "ok", "median_ns": 80, "ratio": 1},
                     {"name": "MetaSchedule", "outcome": "ok", "median_ns": 100, "ratio": 1.25,
                      "ratio_interval": [1.2, 1.3]}]
            (out / "GMM-compare.json").write_text(json.dumps({"peers": [{"contenders": sides}]}))
            for seed, times in enumerate(([90], [200, 90], [200, 200, 90], [200, 90], [300] * 9)):
                (out / f"GMM-cold-{seed}.jsonl").write_text("\n".join(dump(times)) + "\n")
                (out / f"GMM-cold-{seed}.started").write_text("1000\n")
            row = ratio.operator_row(folder, out)
            self.assertEqual(row["runs"]["cold"]["median_s"], 2.0)
            self.assertEqual(row["runs"]["cold"]["reached"], 4)
            self.assertEqual(row["within_1_percent_s"], 100.0)
            self.assertEqual(ratio.fraction(row["runs"]["cold"]["median_s"] / row["wall_s"]), "1/150")


if __name__ == "__main__":
    unittest.main()
