"""What report.py says of measurements made up here."""
import json
import pathlib
import tempfile
import unittest
import xml.dom.minidom

import report
import tile_report


def kernel(folder, name, workload, sizes, ours_ns, bound_ns, peers, **more):
    """As temper tune and temper compare --peers leave it; `peers`: times by library, `more`: what
    else the workload is bound to."""
    (folder / f"tune-{name}.json").write_text(json.dumps({
        "workload": workload, "binding": {**sizes, "dtype": "float32", **more}, "trials": 64,
        "seconds": 30.0, "untuned_ns": 1e6, "bound_ns": bound_ns}))
    sides = [{"name": "tuned", "outcome": "ok", "median_ns": ours_ns, "gflops": 1.0, "ratio": 1.0}]
    sides += [{"name": library, "outcome": "ok", "median_ns": ns, "ratio": ns / ours_ns}
              for library, ns in peers.items()]
    (folder / f"compare-{name}.json").write_text(json.dumps({"peers": [{"contenders": sides}]}))


class Report(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def verdicts(self):
        return {what: (bar, met)
                for what, _, bar, met in report.verdicts(report.read(self.path))}

    def test_an_operator_of_the_suite_has_to_beat_onednn_by_a_tenth(self):
        kernel(self.path, "C1D", "conv1d", {"L": 256}, 100.0, 50.0, {"oneDNN": 109.0})
        kernel(self.path, "GRP", "grouped_conv2d", {"H": 56}, 100.0, 50.0,
               {"oneDNN": 111.0, "OpenBLAS": 90.0})
        self.assertEqual(self.verdicts(), {"C1D against oneDNN": ("1.10x", False),
                                           "GRP against oneDNN": ("1.10x", True)})

    def test_but_not_to_beat_the_machine(self):
        # At 95 % of the bound it would be 1.02 times as fast as oneDNN.
        kernel(self.path, "C3D", "conv3d", {"D": 16}, 103.0, 100.0, {"oneDNN": 107.0})
        kernel(self.path, "DIL", "grouped_conv2d", {"H": 56}, 110.0, 100.0, {"oneDNN": 107.0})
        self.assertEqual(self.verdicts(), {"C3D against oneDNN": ("1.02x", True),
                                           "DIL against oneDNN": ("1.02x", False)})

    def test_without_a_library_the_bound_alone_counts(self):
        kernel(self.path, "CAP", "capsule_conv2d", {"H": 16}, 100.0, 94.0, {})
        self.assertEqual(self.verdicts(),
                         {"CAP, share of the machine's bound": ("95%", False)})

    def test_a_peak_measured_in_turns_is_the_bound_and_no_library(self):
        kernel(self.path, "CAP", "capsule_conv2d", {"H": 16}, 100.0, 94.0, {"peak": 96.0})
        self.assertEqual(self.verdicts(),
                         {"CAP, share of the machine's bound": ("95%", True)})

    def test_the_suites_softmax_is_not_the_projects(self):
        kernel(self.path, "SFM", "softmax", {"M": 256}, 100.0, 50.0, {"oneDNN": 300.0})
        kernel(self.path, "01", "softmax", {"M": 1024}, 100.0, 50.0, {"oneDNN": 119.0})
        self.assertEqual(self.verdicts(), {"softmax against oneDNN": ("1.20x", False),
                                           "SFM against oneDNN": ("1.10x", True)})

    def test_gemm_counts_by_its_worst_shape_and_its_mean(self):
        for name, size, ratio in (("01", 128, 0.9), ("02", 512, 1.5)):
            kernel(self.path, name, "matmul", {"M": size, "N": size, "K": size}, 100.0, 50.0,
                   {"OpenBLAS": 100.0 * ratio, "oneDNN": 200.0})
        self.assertEqual(self.verdicts(), {
            "float32 GEMM, geometric mean against the best library of each shape": ("1.05x", True),
            "float32 GEMM, the worst shape": ("0.95x", False),
            "trials a second at GEMM 512": ("25.0", False)})

    def test_what_is_packed_ahead_and_other_types_have_bars_of_their_own(self):
        cube, slim = dict.fromkeys("MNK", 1024), {"M": 16, "N": 4096, "K": 4096}
        kernel(self.path, "01", "matmul", cube, 100.0, 90.0,
               {"oneDNN (packed ahead)": 104.0, "MKL (plain B)": 99.0}, constant="B")
        kernel(self.path, "02", "matmul", cube, 100.0, 90.0, {"oneDNN": 99.0}, dtype="uint8",
               b_dtype="int8")
        kernel(self.path, "03", "matmul", slim, 100.0, 90.0, {"oneDNN": 110.0}, dtype="bfloat16")
        kernel(self.path, "04", "matmul", slim, 100.0, 90.0, {"oneDNN": 90.0})
        self.assertEqual(self.verdicts(), {
            "GEMM 1024 with B packed ahead, share of the machine's peak": ("93%", False),
            "GEMM 1024 in uint8 x int8 against oneDNN": ("1.00x", False),
            "LLM shapes in float32, geometric mean against the best library of each":
                ("1.00x", False),
            "LLM shapes in bfloat16, geometric mean against the best library of each":
                ("1.00x", True)})
        rows = report.read(self.path)
        self.assertEqual((rows[0]["best"], set(rows[0]["peers"])), (1.04, {"oneDNN", "MKL"}))
        names = [report.kernel_name(row) for row in rows]
        self.assertEqual(names, ["matmul 1024x1024x1024 B ahead",
                                 "matmul 1024x1024x1024 uint8 x int8",
                                 "matmul 16x4096x4096 bfloat16", "matmul 16x4096x4096"])

    def test_the_better_of_onednn_and_pytorch_is_what_the_suite_is_held_against(self):
        kernel(self.path, "TBG", "attention_scores", {"L": 128}, 100.0, 50.0,
               {"oneDNN": 130.0, "PyTorch": 105.0})
        self.assertEqual(self.verdicts(), {"TBG against PyTorch": ("1.10x", False)})

    def test_kernels_against_themselves_count_by_their_number(self):
        (self.path / "aa.json").write_text(json.dumps({"kernels": [
            {"times": 150, "called_different": 0.0, "slowed_found": 1.0},
            {"times": 50, "called_different": 0.4, "slowed_found": 0.2}]}))
        self.assertEqual([(measured, met) for _, measured, _, met in report.aa_verdicts(self.path)],
                         [("10.0%", False), ("80.0%", True)])
        self.assertEqual(report.aa_verdicts(self.path / "nowhere"), [])

    def test_tile_programs_are_held_against_their_bars(self):
        def write(name, content):
            (self.path / f"{name}.json").write_text(json.dumps(content))

        self.assertEqual(tile_report.verdicts(self.path), [])
        sides = [{"name": "tuned", "outcome": "ok", "ratio": 1.0},
                 {"name": "schedule", "outcome": "ok", "ratio": 0.96}]
        write("gemm-compare", {"peers": [{"contenders": sides}]})
        failed = [{"name": "PyTorch", "outcome": "compile_failed", "ratio": 0}]
        write("attention-compare", {"peers": [{"contenders": failed}]})
        by_parts = [{"name": "PyTorch", "outcome": "ok", "ratio": 1.49}]
        write("attention-bf16x3-compare", {"peers": [{"contenders": by_parts}]})
        for name, ns in (("gemv", 6e6), ("gemv-int4", 1.5e6), ("gemv-int2", 2e6)):
            write(name, {"best": {"median_ns": ns}})
        write("lowering", {"benchmarks": [
            {"name": "lower_it", "real_time": 21.0, "time_unit": "ms"}]})
        self.assertEqual([(measured, met) for _, measured, _, met in
                          tile_report.verdicts(self.path)],
                         [("0.96x", True), ("1.49x", False), ("4.00x", True), ("3.00x", False), ("21.0 ms", False)])

    def test_the_plot_has_a_line_for_each_kernel_and_is_well_formed(self):
        kernel(self.path, "01", "matmul", {"M": 512, "N": 512, "K": 512}, 1e6, 9e5,
               {"OpenBLAS": 1.1e6, "PyTorch": 0.5e6})
        kernel(self.path, "CAP", "capsule<conv>", {"H": 16}, 1e5, None, {})
        drawn = xml.dom.minidom.parseString(report.plot(report.read(self.path), "a & b"))
        words = [node.firstChild.data for node in drawn.getElementsByTagName("text")]
        for word in ("matmul 512x512x512", "CAP capsule<conv> 16", "OpenBLAS", "PyTorch", "a & b",
                     "1.000 ms"):
            self.assertIn(word, words)


if __name__ == "__main__":
    unittest.main()
