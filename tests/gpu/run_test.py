"""That tests/gpu/run works, on a machine without a GPU: every part of it, with the real temper on a
driver that is none (tests/cuda/fake) and tensors that are none. What a part finds is of no interest
here; that no name, key or argument of the script is wrong is.

    run_test.py BUILD FAKE_GPU_FOLDER
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD, FAKE = (pathlib.Path(word).resolve() for word in sys.argv[1:3])

os.environ.update(
    TEMPER_CUDA_LIBRARIES=str(FAKE),
    TEMPER_FAKE_GPU="any=unwritten,memory=268435456",
    TEMPER_DEVICE_LOCK=tempfile.mktemp(prefix="temper-gpu-run-"),
)
sys.path.insert(0, str(HERE / "fake_torch"))
loader = importlib.machinery.SourceFileLoader("gpu_run", str(HERE / "run"))
sys.dont_write_bytecode = True
gpu_run = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_run", loader))
loader.exec_module(gpu_run)


class WithoutADriver(gpu_run.Exported):
    """Exported, loaded and called as always; on a machine without a driver the call says so."""

    said = []

    def __call__(self, *tensors):
        try:
            super().__call__(*tensors)
        except gpu_run.Failed as why:
            self.said.append(str(why))


class Run(unittest.TestCase):
    def part(self, *names, expect_error=None):
        """The results of parts, as the command line runs them, and the table."""
        with tempfile.TemporaryDirectory() as folder:
            said = io.StringIO()
            sys.argv = ["run", *names, "--build", str(BUILD), "--out", folder, "--small", "--seconds", "30"]
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
                code = gpu_run.main()
            results = [json.loads((pathlib.Path(folder) / f"{name}.json").read_text()) for name in names]
        for name, made in zip(names, results):
            self.no_mistake_of_its_own(name, made["result"])
        if "state" not in names and "NVRTC" in json.dumps(results):
            self.skipTest("NVRTC is not there: nothing is compiled for a GPU")
        self.assertEqual(code, int(any("error" in made["result"] for made in results)))
        return [made["result"] for made in results], said.getvalue()

    def no_mistake_of_its_own(self, name, result):
        """What temper refuses ends as Failed; anything else is the script's."""
        if isinstance(result, dict):
            if "error" in result and isinstance(result["error"], str):
                for mistake in ("NameError", "KeyError", "TypeError", "AttributeError", "ValueError", "IndexError",
                                "JSONDecodeError", "UnboundLocalError", "unrecognized", "unknown option",
                                "The following argument"):
                    self.assertNotIn(mistake, result["error"], f"{name}: {result['error']}")
            for key, value in result.items():
                self.no_mistake_of_its_own(f"{name}.{key}", value)

    def setUp(self):
        self.exported, gpu_run.Exported = gpu_run.Exported, WithoutADriver
        WithoutADriver.said.clear()

    def tearDown(self):
        gpu_run.Exported = self.exported

    def test_state_has_findings_of_the_doctor(self):
        (state,), table = self.part("state")
        self.assertTrue([f for f in state["doctor"] if f["name"].startswith("GPU")])
        self.assertIn("GPU", table)
        self.assertEqual(state["torch"]["version"], "0 (none)")

    def cases(self, part, *names):
        """Each case of a part that tunes: timed, exported, and in the table."""
        (made,), table = self.part(part)
        self.assertEqual(list(made), list(names))
        for name, one in made.items():
            self.assertNotIn("error", one, f"{name}: {one}")
            self.assertGreater(one["trials"], 0)
            self.assertEqual(len(one["interval"]), 2)
            self.assertGreater(one["theirs_over_ours"], 0)
            self.assertIn(name, table)
        # The library itself was called, with its arguments, and has no driver.
        self.assertTrue(WithoutADriver.said)
        for sentence in WithoutADriver.said:
            self.assertIn("needs a GPU", sentence)
        return made, table

    def test_products_are_tuned_exported_and_timed_in_turns(self):
        made, table = self.cases("gemm", "bfloat16 256x128x128", "bfloat16 128x128x128")
        for one in made.values():
            self.assertGreater(one["ours_tflops"], 0)
            self.assertEqual(set(one["all_ms"]), {"ours", "cuBLAS", "cuBLASLt"})
            self.assertGreaterEqual(one["seconds_to_3_percent"], 0)
        self.assertIn("bf16 GEMM against cuBLAS (>= 1.0x): bfloat16 256x128x128", table)
        self.assertIn("tuning until within 3 % of the run's own best (<= 600 s): ", table)
        self.assertIn("softmax, RMS norm 8192 x 8192 bf16, of the copy bandwidth (>= 0.90): not measured", table)

    def test_shapes_of_language_models_have_a_mean(self):
        _, table = self.cases("llm", "bfloat16 64x128x128")
        self.assertRegex(table, r"geometric mean against cuBLASLt \(>= 1.05x\): [0-9.]+x of 1: ")

    def test_rows_are_held_against_the_bandwidth(self):
        made, table = self.cases("memory", "softmax", "rms_norm")
        for one in made.values():
            self.assertGreater(one["of_copy"], 0)
            self.assertEqual(len(one["tuned"]), 2)  # as a schedule and as a tile program
        self.assertRegex(table, r"of the copy bandwidth \(>= 0.90\): softmax [0-9.e+-]+, rms_norm [0-9.e+-]+: ")

    def test_vectors_are_held_against_the_bandwidth(self):
        made, _ = self.cases("decode", "gemv", "flash decoding")
        for one in made.values():
            self.assertGreater(one["of_copy"], 0)

    def test_attention_is_tuned_causal_and_not(self):
        made, _ = self.cases("attention", "64 full", "64 causal")
        for one in made.values():
            self.assertEqual(one["peer"], "SDPA flash")
            self.assertGreater(one["ours_tflops"], 0)

    def test_weights_of_four_bits_are_beside_those_of_sixteen(self):
        self.cases("w4a16", "M=1")

    def test_without_pytorch_it_is_timed_and_compared_with_nothing(self):
        there, gpu_run.pytorch = gpu_run.pytorch, lambda: None
        try:
            made, table = self.part("attention", "decode")
        finally:
            gpu_run.pytorch = there
        for name, one in {**made[0], **made[1]}.items():
            self.assertIn("not_compared", one, f"{name}: {one}")
            self.assertGreater(one["ours_ms"], 0)
        self.assertRegex(table, r"head 128 \(>= 600 TFLOP/s\): 64 full [0-9.e+-]+, ")
        self.assertIn("flash back end (>= 1.2x): not measured", table)

    def test_bars_are_met_by_all_cases_or_not_at_all(self):
        made = {"gemm": {"a": {"theirs_over_ours": 1.2}, "b": {"theirs_over_ours": 0.9}},
                "llm": {"a": {"theirs_over_ours": 2.0}, "b": {"theirs_over_ours": 0.5}},
                "memory": {"softmax": {"of_copy": 0.95}, "rms_norm": {"error": "x"}},
                "w4a16": {"M=1": {"theirs_over_ours": 3.5, "against_itself": [1.01, 0.99, 1.02]}},
                "probe": {"timers": [{"activity": {"median_ns": 5000}, "events_in_a_row": {"median_ns": 5200},
                                      "activity_against_itself": {"called_different": False}}]}}
        met = {what: met for what, _, _, met in gpu_run.bars(made)}
        self.assertIs(met["bf16 GEMM against cuBLAS"], False)
        self.assertIs(met["bf16 GEMM, LLM shapes, geometric mean against cuBLASLt"], False)
        self.assertIsNone(met["softmax, RMS norm 8192 x 8192 bf16, of the copy bandwidth"])
        self.assertIsNone(met["FlashAttention forward bf16, head 128"])
        self.assertIs(met["w4a16, N = K = 8192, against cuBLAS bf16"], True)
        self.assertIs(met["A/A called different"], True)
        made["w4a16"]["M=1"]["against_itself"] = [1.02, 1.01, 1.03]
        (row,) = [row for row in gpu_run.bars(made) if row[0] == "A/A called different"]
        self.assertEqual(row[2:], ("1 of 2", False))

    def test_all_parts_fit_the_minutes_that_there_are(self):
        self.assertEqual(set(gpu_run.MINUTES), set(gpu_run.PARTS))
        self.assertLessEqual(sum(gpu_run.MINUTES.values()), 28)
        self.assertTrue(set(gpu_run.TUNED) <= set(gpu_run.PARTS))

    def test_workloads_are_checked(self):
        (workloads,), table = self.part("workloads")
        self.assertEqual(len(workloads), 2)
        for name, found in workloads.items():
            # Nothing is written there, so nothing is right; but it was tried.
            self.assertIsInstance(found, list, f"{name}: {found}")
            self.assertTrue(all("outcome" in shape for shape in found), found)
        self.assertIn("0 of 2 right there", table)

    def test_probes_and_counters_answer_in_json(self):
        for name in ("probe", "counters"):
            if not (BUILD / "tests" / "gpu_probe").exists():
                self.skipTest("gpu_probe was not built")
            (result,), _ = self.part(name)
            self.assertIsInstance(result, dict)
            self.assertNotIn("error", result, name)

    def test_tests_are_counted(self):
        if not (BUILD / "tests" / "gpu_tests").exists():
            self.skipTest("gpu_tests was not built")
        (tests,), table = self.part("tests")
        self.assertGreater(tests["tests"], 0)
        self.assertIn("failed", table)

    def test_a_part_that_is_not_there_is_named(self):
        sys.argv = ["run", "gemms"]
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(gpu_run.main(), 2)
        self.assertIn("there is no part 'gemms'", said.getvalue())


if __name__ == "__main__":
    unittest.main(argv=["run_test.py", *sys.argv[3:]], verbosity=2)
