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
import torch  # the one beside this file


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
        self.assertEqual(code, int(any(gpu_run.failures(name, made["result"])
                                       for name, made in zip(names, results))))
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
        torch.errors.clear()
        torch.cuda.flushes_behind = 0

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
            self.assertEqual(one["wrong"], [])
            self.assertEqual(one["regime"], "cold" if part in ("memory", "w4a16", "decode") else "hot")
            self.assertEqual(set(one["all_ms"]), {"cold", "hot"})
            self.assertEqual(len(one["against_itself"]), gpu_run.AGAINST_ITSELF)
            self.assertEqual(one["samples_with_host_time"], 0)
            self.assertGreater(one["theirs_over_ours"], 0)
            self.assertIn(name, table)
        # The library itself was called, with its arguments, and has no driver.
        self.assertTrue(WithoutADriver.said)
        for sentence in WithoutADriver.said:
            self.assertIn("needs a GPU", sentence)
        # Small shapes are held against no bar.
        self.assertIn(f"{part}: small shapes", table)
        self.assertNotIn("met", table.lower())
        return made, table

    def row(self, what, **made):
        """What the bar that begins so says of such results."""
        (found,) = [row for row in gpu_run.bars(made) if row[0].startswith(what)]
        return found[2:]

    def test_products_are_tuned_exported_and_timed_in_turns(self):
        made, table = self.cases("gemm", "bfloat16 256x128x128", "bfloat16 128x128x128")
        for one in made.values():
            self.assertGreater(one["ours_tflops"], 0)
            self.assertEqual(set(one["all_ms"]["hot"]), {"ours", "cuBLAS", "cuBLASLt", "nothing"})
            # Compiling comes first, and starting temper before it.
            self.assertGreater(one["reached"]["seconds"], 0.1)
            self.assertGreater(one["reached"]["of_seconds"], one["reached"]["seconds"])
        self.assertTrue(self.row("bf16 GEMM against", gemm=made)[0].startswith("bfloat16 256x128x128 "))
        self.assertEqual(self.row("softmax", gemm=made), ("not measured", None))

    def test_shapes_of_language_models_have_a_mean(self):
        made, _ = self.cases("llm", "bfloat16 64x128x128")
        self.assertRegex(self.row("bf16 GEMM, LLM shapes", llm=made)[0], r"^[0-9.]+x of 1$")

    def test_rows_are_held_against_the_bandwidth(self):
        made, table = self.cases("memory", "softmax", "rms_norm")
        for one in made.values():
            self.assertGreater(one["of_copy"], 0)
            self.assertEqual(one["copy_bytes_per_s"], max(one["copies_bytes_per_s"].values()))
            if (BUILD / "tests" / "gpu_probe").exists():
                self.assertEqual(set(one["copies_bytes_per_s"]), {"PyTorch", "temper"})
            self.assertEqual(len(one["tuned"]), 2)  # as a schedule and as a tile program
        self.assertEqual(set(made["rms_norm"]["peers"]), {"PyTorch", "PyTorch rms_norm"})
        self.assertRegex(self.row("softmax", memory=made)[0], r"^softmax [0-9.e+-]+, rms_norm [0-9.e+-]+$")
        self.assertIn("of a copy's bandwidth", table)
        self.assertIn("events around nothing", table)

    def test_vectors_are_held_against_the_bandwidth(self):
        made, _ = self.cases("decode", "gemv", "flash decoding")
        for one in made.values():
            self.assertGreater(one["of_copy"], 0)

    def test_attention_is_tuned_causal_and_not(self):
        made, table = self.cases("attention", "64 full", "64 causal")
        self.assertIn("SDPA cuDNN", table)
        for one in made.values():
            self.assertEqual(one["peer"], "SDPA flash")
            self.assertEqual(set(one["peers"]), {"SDPA flash", "SDPA cuDNN"})
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
        self.assertRegex(self.row("FlashAttention forward", attention=made[0])[0], r"^64 full [0-9.e+-]+, ")
        self.assertEqual(self.row("FlashAttention against", attention=made[0]), ("not measured", None))

    def test_a_wrong_record_fails_and_the_next_best_is_timed(self):
        for errors in ([1.0],  # at once, in one element
                       [1e-6, 0.3],  # the mean of a row
                       [1e-6, 1e-6, float("nan")]):  # after the timed calls
            torch.errors[:] = errors
            (made,), table = self.part("w4a16")
            one = made["M=1"]
            self.assertEqual(len(one["wrong"]), 1)
            self.assertNotEqual(one["record"], one["wrong"][0]["record"])
            self.assertIn("after the timed calls" if len(errors) == 3 else "at once", one["wrong"][0]["why"])
            self.assertEqual(len(gpu_run.failures("w4a16", made)), 1)
            self.assertRegex(table, r"M=1 +failed: record m[0-9a-f]+: wrong ")

    def test_a_part_of_which_all_cases_fail_fails(self):
        torch.errors[:] = [1.0] * 100
        (made,), _ = self.part("w4a16")
        self.assertIn("records is right", made["M=1"]["error"])
        self.assertEqual(len(gpu_run.failures("w4a16", made)), 1)
        self.assertEqual(gpu_run.failures("gemm", {"error": "x"}), ["gemm: x"])

    def test_what_is_not_right_is_a_failure(self):
        right = [{"outcome": "ok"}]
        self.assertEqual(gpu_run.failures("workloads", {"a": right, "b": "not tried: the time is over"}), [])
        self.assertEqual(gpu_run.failures("workloads", {"a": [], "b": [{"outcome": "wrong"}], "c": "no"}),
                         ["a: not right there", "b: not right there", "c: not right there"])

    def test_a_host_that_is_late_is_waited_for(self):
        order = []
        timed = gpu_run.Timed(lambda: order.append("call"), lambda: order.append("flush"))
        torch.cuda.flushes_behind = 2
        timed.sample()
        self.assertEqual(order, ["flush", "call"] + ["flush"] * 2 + ["call"] + ["flush"] * 4 + ["call"])
        self.assertEqual(timed.late, 0)
        torch.cuda.flushes_behind = 100
        timed.sample()
        self.assertEqual(timed.late, 1)

    def test_every_cold_call_is_flushed_and_timed_by_itself(self):
        order = []
        samples, _ = gpu_run.in_turns([lambda: order.append("a"), lambda: order.append("b")],
                                      lambda: order.append("flush"), ["cold"], rounds=2)
        self.assertEqual(order[10:], ["flush", "a", "flush", "b", "flush", "b", "flush", "a"])
        self.assertEqual([len(one) for one in samples["cold"]], [2, 2])

    def test_peers_that_do_not_run_are_named(self):
        def refuses():
            raise RuntimeError("No available kernel")

        found, missing = gpu_run.there({"flash": lambda: None, "cuDNN": refuses})
        self.assertEqual(list(found), ["flash"])
        self.assertEqual(missing, {"cuDNN": "RuntimeError: No available kernel"})

    def test_clocks_that_changed_are_beside_the_figure(self):
        clocks, reasons = "clocks.sm", "clocks_event_reasons.active"
        before = {clocks: "1980", "clocks.mem": "2619", reasons: "0x0000000000000001"}
        self.assertEqual(gpu_run.changed(before, {**before, reasons: "0x0000000000000000"}), [])
        self.assertEqual(gpu_run.changed(before, {**before, clocks: "1700", reasons: "0x0000000000000004"}),
                         ["clocks.sm 1980 -> 1700 MHz", "clocks_event_reasons.active 0x0 -> 0x4"])
        self.assertEqual(gpu_run.changed(before, {"error": "there is no nvidia-smi"}), [])

    def test_a_short_run_says_nothing_of_how_soon_its_best_came(self):
        def row(*runs):
            return self.row("tuning until", gemm={str(at): {"reached": {"seconds": s, "of_seconds": of}}
                                                  for at, (s, of) in enumerate(runs)})

        self.assertEqual(row((60, 100)), ("60 s of 100 s, not measured", None))
        self.assertEqual(row((60, 600), (12, 100)), ("60 s of 600 s, 12 s of 100 s, not measured", None))
        self.assertEqual(row((60, 600), (12, 120)), ("60 s of 600 s, 12 s of 120 s", True))
        self.assertEqual(row((700, 800)), ("700 s of 800 s", False))
        self.assertEqual(row(), ("not measured", None))

    def test_bars_are_met_by_all_cases_or_not_at_all(self):
        made = {"gemm": {"a": {"theirs_over_ours": 1.2}, "b": {"theirs_over_ours": 0.9}},
                "llm": {"a": {"theirs_over_ours": 2.0}, "b": {"theirs_over_ours": 0.5}},
                "memory": {"softmax": {"of_copy": 0.95}, "rms_norm": {"error": "x"}},
                "w4a16": {"M=1": {"theirs_over_ours": 3.5}}}
        met = {what: met for what, _, _, met in gpu_run.bars(made)}
        self.assertIs(met["bf16 GEMM against cuBLAS"], False)
        self.assertIs(met["bf16 GEMM, LLM shapes, geometric mean against cuBLASLt"], False)
        self.assertIsNone(met["softmax, RMS norm 8192 x 8192 bf16, of the copy bandwidth"])
        self.assertIsNone(met["FlashAttention forward bf16, head 128"])
        self.assertIs(met["w4a16, N = K = 8192, against cuBLAS bf16"], True)

    def test_comparisons_with_itself_are_of_tuned_kernels_and_enough(self):
        same, other = [1.01, 0.99, 1.02], [1.02, 1.01, 1.03]
        spins = {"timers": [{"activity": {"median_ns": 5000}, "events_in_a_row": {"median_ns": 5200},
                             "activity_against_itself": {"called_different": True}}]}

        def row(*pairs):
            return self.row("A/A", probe=spins, gemm={"a": {"against_itself": list(pairs)}, "b": {"error": "x"}})

        self.assertEqual(row(*[same] * 49), ("0 of 49, fewer than 50: not measured", None))
        self.assertEqual(row(*[same] * 46, *[other] * 4), ("4 of 50", True))
        self.assertEqual(row(*[same] * 45, *[other] * 5), ("5 of 50", False))

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

    def test_without_a_gpu_that_is_said_once_and_nothing_is_tried(self):
        said = io.StringIO()
        there, gpu_run.no_gpu = gpu_run.no_gpu, lambda: "there is no driver here"
        try:
            with tempfile.TemporaryDirectory() as folder:
                sys.argv = ["run", "gemm", "llm", "--build", str(BUILD), "--out", folder]
                with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                    self.assertEqual(gpu_run.main(), 1)
                self.assertEqual(os.listdir(folder), [])
        finally:
            gpu_run.no_gpu = there
        self.assertEqual(said.getvalue().count("there is no driver here"), 1)
        self.assertIn("bf16 GEMM against cuBLAS (>= 1.0x): not measured", said.getvalue())
        self.assertIsNone(gpu_run.no_gpu())  # the one that is none counts

    def test_a_part_that_is_not_there_is_named(self):
        sys.argv = ["run", "gemms"]
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(gpu_run.main(), 2)
        self.assertIn("there is no part 'gemms'", said.getvalue())


if __name__ == "__main__":
    unittest.main(argv=["run_test.py", *sys.argv[3:]], verbosity=2)
