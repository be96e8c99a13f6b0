"""Calls the exported library through tvm-ffi on NumPy arrays."""
import sys

import numpy as np
import tvm_ffi

module = tvm_ffi.load_module(sys.argv[1])
random = np.random.default_rng(0)

a = random.standard_normal((1024, 1024), dtype=np.float32)
b = random.standard_normal((1024, 1024), dtype=np.float32)
c = np.empty((1024, 1024), dtype=np.float32)
module.matmul_f32_1024x1024x1024(a, b, c)
error = np.abs(c - a.astype(np.float64) @ b).max()
print(f"  matmul_f32_1024x1024x1024: largest error {error:.2g}")
assert error < 1e-2

y = np.empty_like(a)
module.softmax_f32_1024x1024(a, y)
exponential = np.exp(a - a.max(axis=1, keepdims=True))
error = np.abs(y - exponential / exponential.sum(axis=1, keepdims=True)).max()
print(f"  softmax_f32_1024x1024: largest error {error:.2g}")
assert error < 1e-5

try:
    module.matmul_f32_1024x1024x1024(a, b.astype(np.float64), c)
except TypeError as refused:
    print(f"  a float64 argument is refused: {refused}")
else:
    raise AssertionError("a float64 argument was not refused")
