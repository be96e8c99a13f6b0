"""As much of PyTorch as tests/gpu/run asks for, with tensors that are none: whether the script itself
works is asked here, on a machine without either."""
import ctypes

__version__ = "0 (none)"
bfloat16, float16, float32, int8, uint8 = "bfloat16", "float16", "float32", "int8", "uint8"
BYTES = {bfloat16: 2, float16: 2, float32: 4, int8: 1, uint8: 1}


class Tensor:
    def __init__(self, *shape, dtype=float32):
        self.shape, self.dtype = shape, dtype
        count = 1
        for extent in shape:
            count *= extent
        self.memory = ctypes.create_string_buffer(count * BYTES[dtype])

    def data_ptr(self):
        return ctypes.addressof(self.memory)

    def to(self, dtype):
        return Tensor(*self.shape, dtype=dtype)

    def item(self):
        return 1e-6  # a relative error that passes

    def float(self):
        return self.to(float32)

    def reshape(self, *shape):
        return Tensor(*shape, dtype=self.dtype)

    def _same(self, *_, **__):
        return self

    double = norm = fill_ = zero_ = mean = copy_ = t = repeat_interleave = _same
    __sub__ = __add__ = __mul__ = __matmul__ = __truediv__ = __and__ = __rshift__ = _same


def empty(*shape, dtype=float32, device="cpu"):
    assert device == "cuda"
    return Tensor(*shape, dtype=dtype)


def randn(*shape, device="cpu"):
    assert device == "cuda"
    return Tensor(*shape)


def empty_like(tensor):
    return Tensor(*tensor.shape, dtype=tensor.dtype)


def randint(low, high, shape, device="cpu"):
    assert device == "cuda" and low < high
    return Tensor(*shape)


def stack(tensors, dim):
    assert dim == -1
    return tensors[0]


class nn:
    class functional:
        @staticmethod
        def scaled_dot_product_attention(query, key, value, is_causal=False):
            return query


class backends:
    class cuda:
        @staticmethod
        def preferred_blas_library(name):
            assert name in ("cublas", "cublaslt"), name


def softmax(x, dim):
    assert dim == -1
    return x


def rsqrt(x):
    return x


class version:
    cuda = "none"


class cuda:
    clock = 0.0

    class Event:
        def __init__(self, enable_timing=False):
            assert enable_timing

        def record(self):
            cuda.clock += 0.25
            self.at = cuda.clock

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return end.at - self.at

    class Stream:
        cuda_stream = 0

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def synchronize():
        pass

    @staticmethod
    def current_stream():
        return cuda.Stream()


def _modules():
    """torch.nn.attention, to import from."""
    import contextlib
    import sys
    import types

    attention = types.ModuleType("torch.nn.attention")
    attention.SDPBackend = types.SimpleNamespace(FLASH_ATTENTION="flash")
    attention.sdpa_kernel = contextlib.nullcontext
    package = types.ModuleType("torch.nn")
    package.functional, package.attention = nn.functional, attention
    sys.modules.update({"torch.nn": package, "torch.nn.attention": attention})


_modules()
