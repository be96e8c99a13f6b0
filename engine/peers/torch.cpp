/// libtemper_peer_torch.so: PyTorch's operators (ATen, from the wheel's libtorch_cpu.so) behind the
/// calling convention of an artifact's entry, so that it is measured in turns as a candidate is,
/// without Python in between. All in float32, row-major; after the buffers come the sizes, int64
/// each:
///
///   mm                    A [m, k], B [k, n], C [m, n]                      m, n, k
///   mm_nt                 A [m, k], B [n, k], C [m, n]                      m, n, k
///   bmm                   A [b, m, k], B [b, k, n], C [b, m, n]             b, m, n, k
///   mv                    A [m, n], x [n], y [m]                            m, n
///   conv2d_bias_relu_nhwc X [n, h, w, ci], W [r, s, ci/g, co], bias [co],   n, h, w, ci, co, r, s,
///                         Y [n, p, q, co]                                   stride, pad, g,
///                                                                           dilation
///   conv2d_nhwc           the same without bias and relu                    as above
///   conv1d_nlc            X [n, l, ci], W [r, ci, co], Y [n, p, co]         n, l, ci, co, r,
///                                                                           stride, pad, dilation
///   conv3d_ndhwc          X [n, d, h, w, ci], W [k, k, k, ci, co],          n, d, h, w, ci, co, k,
///                         Y [n, o, p, q, co]                                stride, pad, dilation
///   transposed_conv2d_nhwc X [n, h, w, ci], W [r, s, ci, co],               n, h, w, ci, co, r, s,
///                         Y [n, p, q, co]                                   stride, pad
///   depthwise_conv2d_nhwc X [n, h, w, c], W [r, s, c], Y [n, p, q, c]       n, h, w, c, r, s,
///                                                                           stride, pad
///   capsule_conv2d        X [n, h, w, c, c, ci], W [r, s, c, c, ci, co],    n, h, w, ci, co, r, s,
///                         Y [n, p, q, c, c, co]                             c, stride, pad
///   attention_scores      X, Y [b, l, heads, d], Z [b, heads, l, l]         b, l, heads, d
///   frobenius_norm        X [b, m, n], y [b]                                b, m, n
///   softmax               X [m, n], Y [m, n], over the last axis            m, n
///   sdpa                  Q, K, V, O [b, heads, l, d]:                      b, heads, l, d, causal
///                         scaled_dot_product_attention
///   layer_norm            X [m, n], gamma [n], beta [n], Y [m, n]; 1e-5     m, n
///
/// At its best: inference mode, images in PyTorch's channels-last format as they lie in memory,
/// filters brought into its layout once (a model keeps them so), results written where the caller
/// wants them. Tensors are made for the first call with some addresses and kept.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/InferenceMode.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <vector>

namespace {

using at::Tensor;
using Dims = std::vector<int64_t>;

/// Hands out the caller's output, once, for an allocation of exactly its size: operators without a
/// variant that writes to a given tensor allocate their result, and copying it would cost PyTorch
/// time that its users do not pay.
class ResultAllocator final : public c10::Allocator {
public:
  ResultAllocator() {
    usual();
    c10::SetCPUAllocator(this, /*priority=*/100);
  }
  void offer(void* at, size_t bytes) {
    at_ = at;
    bytes_ = bytes;
  }
  c10::DataPtr allocate(size_t bytes) override {
    if (at_ == nullptr || bytes != bytes_)
      return usual()->allocate(bytes);
    given_ = std::exchange(at_, nullptr);
    return {given_, given_, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

private:
  static c10::Allocator* usual() {
    static c10::Allocator* const allocator = c10::GetCPUAllocator();
    return allocator;
  }
  static void release(void* at) {
    if (at != given_)
      usual()->raw_deleter()(at);
  }

  inline static void* given_ = nullptr; ///< the caller's, handed out last
  void* at_ = nullptr;
  size_t bytes_ = 0;
};

ResultAllocator& results() {
  static ResultAllocator allocator;
  return allocator;
}

Tensor tensor(void* at, const Dims& sizes) {
  return at::from_blob(at, sizes, at::TensorOptions().dtype(at::kFloat));
}

/// Runs `operation`, which allocates its result, with the result at `output`.
template <typename Operation> void into(void* output, size_t bytes, const Operation& operation) {
  results().offer(output, bytes);
  const Tensor result = operation();
  results().offer(nullptr, 0);
  if (result.const_data_ptr() == output)
    return;
  if (!result.is_non_overlapping_and_dense())
    throw std::runtime_error("the result is not dense");
  std::memcpy(output, result.const_data_ptr(), bytes);
}

using Made = std::function<void()>;

/// Makes the operation for these addresses, unless it is made; a runner's child calls one entry
/// with one set of sizes.
template <typename Make> int32_t run(void* const* arguments, size_t buffers, const Make& make) {
  static std::vector<void*> addresses;
  static Made operation;
  try {
    const c10::InferenceMode inference;
    if (!operation || !std::equal(addresses.begin(), addresses.end(), arguments)) {
      operation = nullptr;
      addresses.assign(arguments, arguments + buffers);
      operation = make();
    }
    operation();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "PyTorch: %.400s\n", error.what());
    return 1;
  }
}

int64_t size(void* const* arguments, int index) {
  return *static_cast<const int64_t*>(arguments[index]);
}

/// Of two or three dimensions, channels last.
struct Convolution {
  int64_t n = 0;
  int64_t ci = 0;
  int64_t co = 0;
  Dims image;  ///< of X
  Dims filter; ///< in as many dimensions
  Dims stride;
  Dims pad;
  Dims dilation;
  int64_t groups = 1;
  bool transposed = false;
};

/// Sizes with the channels after the batch, in memory after everything else.
Tensor image_tensor(void* at, int64_t n, int64_t channels, const Dims& image) {
  Dims sizes{n};
  sizes.insert(sizes.end(), image.begin(), image.end());
  sizes.push_back(channels);
  Dims order{0, static_cast<int64_t>(image.size()) + 1};
  for (size_t d = 0; d < image.size(); ++d)
    order.push_back(static_cast<int64_t>(d) + 1);
  return tensor(at, sizes).permute(order);
}

at::MemoryFormat channels_last(size_t rank) {
  return rank == 2 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
}

/// `weights`: [co, ci/g, filter...], of a transposed one [ci, co/g, filter...], in any strides.
Made convolution(const Convolution& c, void* x_at, const Tensor& weights, const Tensor& bias,
                 bool relu, void* y_at) {
  const size_t rank = c.image.size();
  const Tensor x = image_tensor(x_at, c.n, c.ci, c.image);
  const Tensor w = weights.contiguous(channels_last(rank));
  int64_t elements = c.n * c.co;
  for (size_t d = 0; d < rank; ++d) {
    const int64_t reach = c.dilation[d] * (c.filter[d] - 1) + 1;
    elements *= c.transposed ? (c.image[d] - 1) * c.stride[d] + reach - 2 * c.pad[d]
                             : (c.image[d] + 2 * c.pad[d] - reach) / c.stride[d] + 1;
  }
  const auto bytes = static_cast<size_t>(elements) * sizeof(float);
  const std::optional<Tensor> added =
      bias.defined() ? std::optional<Tensor>(bias) : std::optional<Tensor>();
  const Dims output_padding(rank, 0);
  return [=] {
    into(y_at, bytes, [&] {
      Tensor y = at::convolution(x, w, added, c.stride, c.pad, c.dilation, c.transposed,
                                 output_padding, c.groups);
      if (relu)
        at::relu_(y);
      return y;
    });
  };
}

int32_t run_conv2d(void* const* arguments, bool bias_relu) {
  const int first = bias_relu ? 4 : 3;
  return run(arguments, static_cast<size_t>(first), [&] {
    const auto at = [&](int i) { return size(arguments, first + i); };
    const Convolution c{.n = at(0),
                        .ci = at(3),
                        .co = at(4),
                        .image = {at(1), at(2)},
                        .filter = {at(5), at(6)},
                        .stride = Dims(2, at(7)),
                        .pad = Dims(2, at(8)),
                        .dilation = Dims(2, at(10)),
                        .groups = at(9)};
    const Tensor w = tensor(arguments[1], {at(5), at(6), c.ci / c.groups, c.co});
    const Tensor bias = bias_relu ? tensor(arguments[2], {c.co}) : Tensor();
    return convolution(c, arguments[0], w.permute({3, 2, 0, 1}), bias, bias_relu,
                       arguments[first - 1]);
  });
}

int32_t run_mm(void* const* arguments, bool transposed_b) {
  return run(arguments, 3, [&]() -> Made {
    const int64_t m = size(arguments, 3);
    const int64_t n = size(arguments, 4);
    const int64_t k = size(arguments, 5);
    const Tensor a = tensor(arguments[0], {m, k});
    const Tensor b = transposed_b ? tensor(arguments[1], {n, k}).t() : tensor(arguments[1], {k, n});
    return [a, b, c = tensor(arguments[2], {m, n})]() mutable { at::mm_out(c, a, b); };
  });
}

} // namespace

extern "C" {

int32_t mm(void* const* arguments) { return run_mm(arguments, false); }
int32_t mm_nt(void* const* arguments) { return run_mm(arguments, true); }

int32_t bmm(void* const* arguments) {
  return run(arguments, 3, [&]() -> Made {
    const int64_t b = size(arguments, 3);
    const int64_t m = size(arguments, 4);
    const int64_t n = size(arguments, 5);
    const int64_t k = size(arguments, 6);
    return [x = tensor(arguments[0], {b, m, k}), y = tensor(arguments[1], {b, k, n}),
            z = tensor(arguments[2], {b, m, n})]() mutable { at::bmm_out(z, x, y); };
  });
}

int32_t mv(void* const* arguments) {
  return run(arguments, 3, [&]() -> Made {
    const int64_t m = size(arguments, 3);
    const int64_t n = size(arguments, 4);
    return [a = tensor(arguments[0], {m, n}), x = tensor(arguments[1], {n}),
            y = tensor(arguments[2], {m})]() mutable { at::mv_out(y, a, x); };
  });
}

int32_t conv2d_bias_relu_nhwc(void* const* arguments) { return run_conv2d(arguments, true); }
int32_t conv2d_nhwc(void* const* arguments) { return run_conv2d(arguments, false); }

int32_t conv1d_nlc(void* const* arguments) {
  return run(arguments, 3, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    // As PyTorch does it itself: an image of one row.
    const Convolution c{.n = at(0),
                        .ci = at(2),
                        .co = at(3),
                        .image = {1, at(1)},
                        .filter = {1, at(4)},
                        .stride = {1, at(5)},
                        .pad = {0, at(6)},
                        .dilation = {1, at(7)}};
    const Tensor w = tensor(arguments[1], {1, at(4), c.ci, c.co});
    return convolution(c, arguments[0], w.permute({3, 2, 0, 1}), {}, false, arguments[2]);
  });
}

int32_t conv3d_ndhwc(void* const* arguments) {
  return run(arguments, 3, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    const Convolution c{.n = at(0),
                        .ci = at(4),
                        .co = at(5),
                        .image = {at(1), at(2), at(3)},
                        .filter = Dims(3, at(6)),
                        .stride = Dims(3, at(7)),
                        .pad = Dims(3, at(8)),
                        .dilation = Dims(3, at(9))};
    const Tensor w = tensor(arguments[1], {at(6), at(6), at(6), c.ci, c.co});
    return convolution(c, arguments[0], w.permute({4, 3, 0, 1, 2}), {}, false, arguments[2]);
  });
}

int32_t transposed_conv2d_nhwc(void* const* arguments) {
  return run(arguments, 3, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    const Convolution c{.n = at(0),
                        .ci = at(3),
                        .co = at(4),
                        .image = {at(1), at(2)},
                        .filter = {at(5), at(6)},
                        .stride = Dims(2, at(7)),
                        .pad = Dims(2, at(8)),
                        .dilation = Dims(2, 1),
                        .transposed = true};
    const Tensor w = tensor(arguments[1], {at(5), at(6), c.ci, c.co});
    return convolution(c, arguments[0], w.permute({2, 3, 0, 1}), {}, false, arguments[2]);
  });
}

int32_t depthwise_conv2d_nhwc(void* const* arguments) {
  return run(arguments, 3, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    const Convolution c{.n = at(0),
                        .ci = at(3),
                        .co = at(3),
                        .image = {at(1), at(2)},
                        .filter = {at(4), at(5)},
                        .stride = Dims(2, at(6)),
                        .pad = Dims(2, at(7)),
                        .dilation = Dims(2, 1),
                        .groups = at(3)};
    const Tensor w = tensor(arguments[1], {at(4), at(5), 1, c.co});
    return convolution(c, arguments[0], w.permute({3, 2, 0, 1}), {}, false, arguments[2]);
  });
}

int32_t capsule_conv2d(void* const* arguments) {
  return run(arguments, 3, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    const int64_t ci = at(3);
    const int64_t co = at(4);
    const int64_t side = at(7);
    // The rows of the matrices are a third dimension of the image, with a filter of one; what the
    // matrix product sums over are more channels.
    const Convolution c{.n = at(0),
                        .ci = side * ci,
                        .co = side * co,
                        .image = {at(1), at(2), side},
                        .filter = {at(5), at(6), 1},
                        .stride = {at(8), at(8), 1},
                        .pad = {at(9), at(9), 0},
                        .dilation = Dims(3, 1)};
    const Tensor w = tensor(arguments[1], {at(5), at(6), side, side, ci, co})
                         .permute({3, 5, 2, 4, 0, 1})
                         .reshape({c.co, c.ci, at(5), at(6), 1});
    return convolution(c, arguments[0], w, {}, false, arguments[2]);
  });
}

int32_t attention_scores(void* const* arguments) {
  return run(arguments, 3, [&]() -> Made {
    const int64_t b = size(arguments, 3);
    const int64_t l = size(arguments, 4);
    const int64_t heads = size(arguments, 5);
    const int64_t d = size(arguments, 6);
    const Tensor x = tensor(arguments[0], {b, l, heads, d}).permute({0, 2, 1, 3});
    const Tensor y = tensor(arguments[1], {b, l, heads, d}).permute({0, 2, 3, 1});
    if (b == 1) // matmul would copy both into dense batches first
      return [x = x[0], y = y[0], z = tensor(arguments[2], {heads, l, l})]() mutable {
        at::bmm_out(z, x, y);
      };
    return
        [x, y, z = tensor(arguments[2], {b, heads, l, l})]() mutable { at::matmul_out(z, x, y); };
  });
}

int32_t frobenius_norm(void* const* arguments) {
  return run(arguments, 2, [&]() -> Made {
    const int64_t b = size(arguments, 2);
    const int64_t each = size(arguments, 3) * size(arguments, 4);
    return [x = tensor(arguments[0], {b, each}), y = tensor(arguments[1], {b})]() mutable {
      at::linalg_vector_norm_out(y, x, 2, at::IntArrayRef{1});
    };
  });
}

int32_t softmax(void* const* arguments) {
  return run(arguments, 2, [&]() -> Made {
    const Dims sizes{size(arguments, 2), size(arguments, 3)};
    return [x = tensor(arguments[0], sizes), y = tensor(arguments[1], sizes)]() mutable {
      at::_softmax_out(y, x, 1, false);
    };
  });
}

int32_t sdpa(void* const* arguments) {
  return run(arguments, 4, [&]() -> Made {
    const int64_t rows = size(arguments, 4) * size(arguments, 5);
    const int64_t l = size(arguments, 6);
    const int64_t d = size(arguments, 7);
    const bool causal = size(arguments, 8) != 0;
    // Heads as batches: PyTorch lays its result out as [b, l, heads, d], which is O with one head.
    const Dims sizes{rows, 1, l, d};
    return [q = tensor(arguments[0], sizes), k = tensor(arguments[1], sizes),
            v = tensor(arguments[2], sizes), o = arguments[3], causal,
            bytes = static_cast<size_t>(rows * l * d) * sizeof(float)] {
      into(o, bytes,
           [&] { return at::scaled_dot_product_attention(q, k, v, std::nullopt, 0.0, causal); });
    };
  });
}

int32_t layer_norm(void* const* arguments) {
  return run(arguments, 4, [&]() -> Made {
    const int64_t m = size(arguments, 4);
    const int64_t n = size(arguments, 5);
    return [x = tensor(arguments[0], {m, n}), gamma = tensor(arguments[1], {n}),
            beta = tensor(arguments[2], {n}), y = arguments[3], n,
            bytes = static_cast<size_t>(m * n) * sizeof(float)] {
      into(y, bytes, [&] {
        return std::get<0>(at::native_layer_norm(x, at::IntArrayRef{n}, gamma, beta, 1e-5));
      });
    };
  });
}

} // extern "C"
