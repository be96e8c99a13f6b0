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

    def test_products_are_tuned_exported_and_timed_in_turns(self):
        (gemm,), table = self.part("gemm")
        self.assertEqual(list(gemm), ["bfloat16 256x128x128", "float16 256x128x128", "bfloat16 16x128x128"])
        for name, one in gemm.items():
            self.assertNotIn("error", one, f"{name}: {one}")
            self.assertGreater(one["trials"], 0)
            self.assertEqual(len(one["interval"]), 2)
            self.assertGreater(one["ours_tflops"], 0)
            self.assertIn(name, table)
        # The library itself was called, with its arguments, and has no driver.
        self.assertTrue(WithoutADriver.said)
        for sentence in WithoutADriver.said:
            self.assertIn("needs a GPU", sentence)

    def test_rows_are_held_against_the_bandwidth(self):
        (memory,), table = self.part("memory")
        self.assertEqual(list(memory), ["softmax_tile", "rms_norm_tile"])
        for name, one in memory.items():
            self.assertNotIn("error", one, f"{name}: {one}")
            self.assertGreater(one["theirs_bytes_per_s"], 0)
            self.assertIn(name, table)

    def test_attention_is_tuned(self):
        (attention,), _ = self.part("attention")
        self.assertNotIn("error", attention)
        self.assertTrue(attention["first_shape"]["best"]["record"])

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
    unittest.main(argv=["run_test.py"], verbosity=2)
