"""Calls an exported library from Python as its users do: python tvm_ffi_check.py libkernels.so

The library has matmul_f32_3x4x5(A, B, C), scale_shift(A, B, scale, shift), picky(x, y) and
product(A, B_packed, C) with product_pack_B(B, B_packed).
With LOAD_FIRST=1 it enters the process before libtvm_ffi does.
"""
import ctypes
import os
import sys
import threading

path = os.path.abspath(sys.argv[1])
if os.environ.get("LOAD_FIRST"):
    ctypes.CDLL(path)

import numpy as np
import tvm_ffi

mod = tvm_ffi.load_module(path)
rng = np.random.default_rng(0)


def raises(kind, text, function, *args):
    try:
        function(*args)
    except kind as error:
        assert type(error) is kind, (type(error), error)
        assert text in str(error), f"{text!r} is not in {str(error)!r}"
    else:
        raise AssertionError(f"no {kind.__name__} with {text!r}")


f32 = lambda *shape: rng.standard_normal(shape, dtype="float32")
matmul = mod.matmul_f32_3x4x5
a, b, c = f32(3, 5), f32(5, 4), np.zeros((3, 4), "float32")
assert matmul(a, b, c) is None
np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)

# tvm_ffi's own tensors, and views with an offset
c[:] = 0
matmul(tvm_ffi.from_dlpack(a), tvm_ffi.from_dlpack(b), tvm_ffi.from_dlpack(c))
np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)
big = f32(4, 5)
matmul(big[1:], b, c)
np.testing.assert_allclose(c, big[1:] @ b, rtol=1e-5, atol=1e-6)

x, y = f32(100), np.zeros(100, "float32")
mod.scale_shift(x, y, 2.5, -3)
np.testing.assert_allclose(y, x * 2.5 - 3, rtol=1e-6)
mod.scale_shift(x, y, 2, 7)
np.testing.assert_allclose(y, x * 2 + 7, rtol=1e-6)

# Weights that are packed once: sizes and names are in the metadata.
if hasattr(mod, "get_function_metadata"):  # not in apache-tvm-ffi 0.1.0
    packing = mod.get_function_metadata("product")["temper"]["packed"][0]
    assert packing["by"] == "product_pack_B" and packing["bytes"] == 80, packing
packed = np.zeros((4, 5), "float32")
assert mod.product_pack_B(b, packed) is None
np.testing.assert_array_equal(packed, b.T)
c[:] = 0
mod.product(a, packed, c)
np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)
raises(ValueError, "argument 1 (B_packed) has shape (5, 4), expected (4, 5)", mod.product, a, b, c)

raises(TypeError, "argument 0 (A) has dtype float64, expected float32", matmul, a.astype("float64"), b, c)
raises(TypeError, "argument 1 (B) has dtype int32", matmul, a, b.astype("int32"), c)
raises(TypeError, "argument 0 (A) must be a float32 tensor, not int", matmul, 1, b, c)
raises(TypeError, "argument 2 (C) must be a float32 tensor, not None", matmul, a, b, None)
raises(TypeError, "argument 2 (C) must be a float32 tensor, not str", matmul, a, b, "C")
raises(TypeError, "expected 3 arguments, got 2", matmul, a, b)
raises(ValueError, "argument 0 (A) has shape (5, 3), expected (3, 5)", matmul, a.T.copy(), b, c)
raises(ValueError, "argument 0 (A) has 1 dimensions, expected 2", matmul, a.ravel(), b, c)
raises(ValueError, "argument 0 (A) is not contiguous", matmul, f32(3, 10)[:, ::2], b, c)
raises(ValueError, "argument 2 (C) is written and overlaps argument 0 (A)", matmul, big[:3], b,
       big.ravel()[:12].reshape(3, 4))
raises(TypeError, "argument 3 (shift) must be an integer", mod.scale_shift, x, y, 1.0, 1.5)
raises(TypeError, "argument 2 (scale) must be a number", mod.scale_shift, x, y, "1", 1)
raises(ValueError, "argument 3 (shift) is 32768, which does not fit int16", mod.scale_shift, x, y, 1.0, 32768)
raises(RuntimeError, "assertion failed: x", mod.picky, -np.ones(1, "float32"), np.ones(1, "float32"))
unaligned = np.frombuffer(bytearray(61), "uint8")[1:].view("float32").reshape(3, 5)
raises(ValueError, "is not aligned to 4 bytes", matmul, unaligned, b, c)
raises(AttributeError, "nope", lambda: mod.nope)

# the GIL is released: calls run side by side, and each thread has its own error
def work(i):
    mine, out = f32(3, 5), np.zeros((3, 4), "float32")
    for _ in range(200):
        matmul(mine, b, out)
        np.testing.assert_allclose(out, mine @ b, rtol=1e-5, atol=1e-6)
        raises(ValueError, "dimensions", matmul, mine.ravel(), b, out)


failed = []
def guarded(i):
    try:
        work(i)
    except BaseException as error:
        failed.append(error)


threads = [threading.Thread(target=guarded, args=(i,)) for i in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failed, failed[0]

if hasattr(mod, "get_function_metadata"):  # not in apache-tvm-ffi 0.1.0
    metadata = mod.get_function_metadata("matmul_f32_3x4x5")
    assert metadata["temper"]["provenance"]["record"] == "m3f9c2", metadata
    assert metadata["temper"]["arguments"][0]["shape"] == [3, 5], metadata
    print("schema:", tvm_ffi.core.TypeSchema.from_json_str(metadata["type_schema"]))
    assert "matmul_f32_3x4x5(A: float32[3, 5]" in mod.get_function_doc("matmul_f32_3x4x5")
print("ok", getattr(tvm_ffi, "__version__", "?"))
