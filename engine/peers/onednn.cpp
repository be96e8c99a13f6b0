/// libtemper_peer_onednn.so: oneDNN behind the calling convention of an artifact's entry. All in
/// float32 unless the name says otherwise, row-major; after the buffers come the sizes, int64 each:
///
///   matmul_bf16           as matmul, A and B bfloat16, C float32            m, n, k
///   matmul_u8s8           A uint8, B int8, C int32                          m, n, k
///   matmul_s8s8           A and B int8, C int32                             m, n, k
///   matmul                A [m, k], B [k, n], C [m, n]                      m, n, k
///   matmul_nt             A [m, k], B [n, k], C [m, n]                      m, n, k
///   batched_matmul        A [b, m, k], B [b, k, n], C [b, m, n]             b, m, n, k
///   conv2d_bias_relu_nhwc X [n, h, w, ci], W [r, s, ci/g, co], bias [co],   n, h, w, ci, co, r, s,
///                         Y [n, p, q, co]                                   stride, pad, g,
///                                                                           dilation
///   conv2d_nhwc           the same without bias and relu                    as above
///   conv1d_nlc            X [n, l, ci], W [r, ci, co], Y [n, p, co]         n, l, ci, co, r,
///   stride,
///                                                                           pad, dilation
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
///   layer_norm            X [m, n], gamma [n], beta [n], Y [m, n]; 1e-5     m, n
///   relu                  X [n], Y [n]                                      n
///
/// Primitives are made on the first call and kept. Where oneDNN wants weights in a layout of its
/// own, they are reordered in every call, because the kernels it is compared with get them in the
/// plain layout too; the `_packed` variants of the matmuls and convolutions reorder them only
/// when they come from another address: what a network with constant weights would do.
#include <oneapi/dnnl/dnnl.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Dims = memory::dims;
constexpr auto kFloat = memory::data_type::f32;

dnnl::engine& cpu() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream() {
  static dnnl::stream stream(cpu());
  return stream;
}

memory::desc plain(const Dims& dims, Tag tag, memory::data_type type = kFloat) {
  return {dims, type, tag};
}

/// Of a product's operands and result.
struct Types {
  memory::data_type a = kFloat;
  memory::data_type b = kFloat;
  memory::data_type c = kFloat;
};

memory placeholder(const memory::desc& desc) { return {desc, cpu(), nullptr}; }

/// One tensor of a primitive: where the caller has it, and, when the primitive wants another
/// layout, a copy in that layout.
struct Operand {
  Operand(const memory::desc& own, const memory::desc& wanted)
      : user(placeholder(own)), used(own == wanted ? user : memory(wanted, cpu())),
        reordered(own != wanted) {
    if (reordered)
      reorder.emplace(user, used);
  }
  memory user;
  memory used;
  bool reordered;
  const void* packed_from = nullptr;
  std::optional<dnnl::reorder> reorder;
};

/// A primitive with its operands, made once for one set of sizes.
struct Operation {
  dnnl::primitive primitive;
  std::optional<Operand> permuted;              ///< comes between the caller's weights and input 1
  std::vector<std::unique_ptr<Operand>> inputs; ///< in the order of the arguments
  std::unique_ptr<Operand> output;
  std::unordered_map<int, memory> bound;
  bool pack_once =
      false; ///< weights (input 1) keep their reordered copy while they stay in one place

  void input(int role, const memory::desc& own, const memory::desc& wanted) {
    inputs.push_back(std::make_unique<Operand>(own, wanted));
    bound.insert({role, inputs.back()->used});
  }
  void result(const memory::desc& own, const memory::desc& wanted) {
    output = std::make_unique<Operand>(own, wanted);
    if (output->reordered)
      output->reorder.emplace(output->used, output->user);
    bound.insert({DNNL_ARG_DST, output->used});
  }

  void run(void* const* arguments) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      Operand& operand = *inputs[i];
      void* from = arguments[i];
      if (permuted && i == 1) {
        permuted->user.set_data_handle(from);
        permuted->reorder->execute(stream(), permuted->user, permuted->used);
        from = permuted->used.get_data_handle();
      }
      operand.user.set_data_handle(from);
      if (operand.reordered && !(pack_once && i == 1 && operand.packed_from == arguments[i])) {
        operand.reorder->execute(stream(), operand.user, operand.used);
        operand.packed_from = arguments[i];
      }
    }
    output->user.set_data_handle(arguments[inputs.size()]);
    primitive.execute(stream(), bound);
    if (output->reordered)
      output->reorder->execute(stream(), output->used, output->user);
    stream().wait();
  }
};

/// Makes the operation on the first call of the process; a runner's child calls one entry with one
/// set of sizes. Errors of oneDNN become a return code.
template <typename Make> int32_t run(void* const* arguments, const Make& make) {
  static std::unique_ptr<Operation> operation;
  try {
    if (!operation)
      operation = make();
    operation->run(arguments);
    return 0;
  } catch (const dnnl::error& error) {
    return 1000 + static_cast<int32_t>(error.status);
  }
}

int64_t size(void* const* arguments, int index) {
  return *static_cast<const int64_t*>(arguments[index]);
}

std::unique_ptr<Operation> make_matmul(const Dims& a, const Dims& b, const Dims& c, Tag a_tag,
                                       Tag b_tag, bool pack_once, const Types& types = {}) {
  auto operation = std::make_unique<Operation>();
  operation->pack_once = pack_once;
  // Left free, the layout of B is the one that oneDNN's kernel likes best; packing it in every
  // call may cost more than it brings, so that is only for weights that are packed once.
  const auto b_wanted = pack_once ? Tag::any : b_tag;
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(plain(a, a_tag, types.a),
                                                             plain(b, b_wanted, types.b),
                                                             plain(c, a_tag, types.c)),
                                          cpu());
  operation->primitive = dnnl::matmul(desc);
  operation->input(DNNL_ARG_SRC, plain(a, a_tag, types.a), desc.src_desc());
  operation->input(DNNL_ARG_WEIGHTS, plain(b, b_tag, types.b), desc.weights_desc());
  operation->result(plain(c, a_tag, types.c), desc.dst_desc());
  return operation;
}

int32_t run_matmul(void* const* arguments, bool transposed_b, bool pack_once,
                   const Types& types = {}) {
  return run(arguments, [&] {
    const int64_t m = size(arguments, 3);
    const int64_t n = size(arguments, 4);
    const int64_t k = size(arguments, 5);
    return make_matmul({m, k}, {k, n}, {m, n}, Tag::ab, transposed_b ? Tag::ba : Tag::ab, pack_once,
                       types);
  });
}

/// Of one to three dimensions, channels last.
struct Convolution {
  int64_t n = 0;
  int64_t ci = 0;
  int64_t co = 0;
  Dims image;  ///< of X
  Dims filter; ///< in as many dimensions
  int64_t stride = 1;
  int64_t pad = 0;
  int64_t groups = 1; ///< one unless there are two dimensions
  int64_t dilation = 1;
  bool last_apart = false; ///< the last dimension has neither stride nor padding
};

/// `Primitive`: convolution_forward or deconvolution_forward.
template <typename Primitive>
std::unique_ptr<Operation> make_convolution(const Convolution& c, dnnl::algorithm algorithm,
                                            bool bias_relu, bool pack_once) {
  auto operation = std::make_unique<Operation>();
  operation->pack_once = pack_once;
  const size_t rank = c.image.size();
  const bool transposed = std::is_same_v<Primitive, dnnl::deconvolution_forward>;
  Dims x_dims = {c.n, c.ci};
  Dims y_dims = {c.n, c.co};
  Dims weights = {c.co, c.ci};
  Dims strides(rank, c.stride);
  Dims pads(rank, c.pad);
  const Dims dilates(rank, c.dilation - 1);
  if (c.groups > 1)
    weights = {c.groups, c.co / c.groups, c.ci / c.groups};
  if (c.last_apart) {
    strides.back() = 1;
    pads.back() = 0;
  }
  for (size_t d = 0; d < rank; ++d) {
    const int64_t reach = c.dilation * (c.filter[d] - 1) + 1;
    x_dims.push_back(c.image[d]);
    y_dims.push_back(transposed ? (c.image[d] - 1) * strides[d] + reach - 2 * pads[d]
                                : (c.image[d] + 2 * pads[d] - reach) / strides[d] + 1);
    weights.push_back(c.filter[d]);
  }
  const Tag channels_last = rank == 1 ? Tag::nwc : rank == 2 ? Tag::nhwc : Tag::ndhwc;
  const Tag filter_first = rank == 1       ? Tag::wio
                           : rank == 3     ? Tag::dhwio
                           : c.groups == 1 ? Tag::hwio
                                           : Tag::hwigo;
  const memory::desc x = plain(x_dims, channels_last);
  const memory::desc y = plain(y_dims, channels_last);
  const memory::desc w = plain(weights, filter_first);
  const memory::desc any_weights = plain(weights, Tag::any);
  const memory::desc bias = plain({c.co}, Tag::a);
  using Desc = typename Primitive::desc;
  const auto inference = dnnl::prop_kind::forward_inference;
  const Desc desc =
      bias_relu ? Desc(inference, algorithm, x, any_weights, bias, y, strides, dilates, pads, pads)
                : Desc(inference, algorithm, x, any_weights, y, strides, dilates, pads, pads);
  dnnl::primitive_attr attributes;
  if (bias_relu) {
    dnnl::post_ops relu;
    relu.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(relu);
  }
  const typename Primitive::primitive_desc chosen(desc, attributes, cpu());
  operation->primitive = Primitive(chosen);
  operation->input(DNNL_ARG_SRC, x, chosen.src_desc());
  operation->input(DNNL_ARG_WEIGHTS, w, chosen.weights_desc());
  if (bias_relu)
    operation->input(DNNL_ARG_BIAS, bias, chosen.bias_desc());
  operation->result(y, chosen.dst_desc());
  return operation;
}

std::unique_ptr<Operation> make_convolution(const Convolution& c, bool bias_relu, bool pack_once) {
  return make_convolution<dnnl::convolution_forward>(c, dnnl::algorithm::convolution_direct,
                                                     bias_relu, pack_once);
}

int32_t run_convolution(void* const* arguments, bool bias_relu, bool pack_once) {
  return run(arguments, [&] {
    const int first = bias_relu ? 4 : 3;
    const auto at = [&](int i) { return size(arguments, first + i); };
    return make_convolution({.n = at(0),
                             .ci = at(3),
                             .co = at(4),
                             .image = {at(1), at(2)},
                             .filter = {at(5), at(6)},
                             .stride = at(7),
                             .pad = at(8),
                             .groups = at(9),
                             .dilation = at(10)},
                            bias_relu, pack_once);
  });
}

using Type = memory::data_type;
constexpr Types kBf16{Type::bf16, Type::bf16, Type::f32};
constexpr Types kU8S8{Type::u8, Type::s8, Type::s32};
constexpr Types kS8S8{Type::s8, Type::s8, Type::s32};

} // namespace

extern "C" {

int32_t matmul_bf16(void* const* arguments) { return run_matmul(arguments, false, false, kBf16); }
int32_t matmul_bf16_packed(void* const* arguments) {
  return run_matmul(arguments, false, true, kBf16);
}
int32_t matmul_u8s8(void* const* arguments) { return run_matmul(arguments, false, false, kU8S8); }
int32_t matmul_u8s8_packed(void* const* arguments) {
  return run_matmul(arguments, false, true, kU8S8);
}
int32_t matmul_s8s8(void* const* arguments) { return run_matmul(arguments, false, false, kS8S8); }
int32_t matmul_s8s8_packed(void* const* arguments) {
  return run_matmul(arguments, false, true, kS8S8);
}

int32_t matmul(void* const* arguments) { return run_matmul(arguments, false, false); }
int32_t matmul_packed(void* const* arguments) { return run_matmul(arguments, false, true); }
int32_t matmul_nt(void* const* arguments) { return run_matmul(arguments, true, false); }
int32_t matmul_nt_packed(void* const* arguments) { return run_matmul(arguments, true, true); }

int32_t batched_matmul(void* const* arguments) {
  return run(arguments, [&] {
    const int64_t b = size(arguments, 3);
    const int64_t m = size(arguments, 4);
    const int64_t n = size(arguments, 5);
    const int64_t k = size(arguments, 6);
    return make_matmul({b, m, k}, {b, k, n}, {b, m, n}, Tag::abc, Tag::abc, false);
  });
}

int32_t conv2d_bias_relu_nhwc(void* const* arguments) {
  return run_convolution(arguments, true, false);
}
int32_t conv2d_bias_relu_nhwc_packed(void* const* arguments) {
  return run_convolution(arguments, true, true);
}
int32_t conv2d_nhwc(void* const* arguments) { return run_convolution(arguments, false, false); }
int32_t conv2d_nhwc_packed(void* const* arguments) {
  return run_convolution(arguments, false, true);
}

int32_t depthwise_conv2d_nhwc(void* const* arguments) {
  return run(arguments, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    return make_convolution({.n = at(0),
                             .ci = at(3),
                             .co = at(3),
                             .image = {at(1), at(2)},
                             .filter = {at(4), at(5)},
                             .stride = at(6),
                             .pad = at(7),
                             .groups = at(3)},
                            false, false);
  });
}

int32_t conv1d_nlc(void* const* arguments) {
  return run(arguments, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    return make_convolution({.n = at(0),
                             .ci = at(2),
                             .co = at(3),
                             .image = {at(1)},
                             .filter = {at(4)},
                             .stride = at(5),
                             .pad = at(6),
                             .dilation = at(7)},
                            false, false);
  });
}

int32_t conv3d_ndhwc(void* const* arguments) {
  return run(arguments, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    return make_convolution({.n = at(0),
                             .ci = at(4),
                             .co = at(5),
                             .image = {at(1), at(2), at(3)},
                             .filter = {at(6), at(6), at(6)},
                             .stride = at(7),
                             .pad = at(8),
                             .dilation = at(9)},
                            false, false);
  });
}

int32_t transposed_conv2d_nhwc(void* const* arguments) {
  return run(arguments, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    return make_convolution<dnnl::deconvolution_forward>({.n = at(0),
                                                          .ci = at(3),
                                                          .co = at(4),
                                                          .image = {at(1), at(2)},
                                                          .filter = {at(5), at(6)},
                                                          .stride = at(7),
                                                          .pad = at(8)},
                                                         dnnl::algorithm::deconvolution_direct,
                                                         false, false);
  });
}

/// There is no routine for capsules. Matrix rows are a third dimension of the image, columns are
/// channels beside the channels, which the weights must be permuted for in every call.
int32_t capsule_conv2d(void* const* arguments) {
  return run(arguments, [&] {
    const auto at = [&](int i) { return size(arguments, 3 + i); };
    const int64_t ci = at(3);
    const int64_t co = at(4);
    const int64_t r = at(5);
    const int64_t s = at(6);
    const int64_t c = at(7);
    auto operation = make_convolution<dnnl::convolution_forward>(
        {.n = at(0),
         .ci = c * ci,
         .co = c * co,
         .image = {at(1), at(2), c},
         .filter = {r, s, 1},
         .stride = at(8),
         .pad = at(9),
         .last_apart = true},
        dnnl::algorithm::convolution_direct, false, false);
    const Dims weights = {r, s, c, c, ci, co};
    operation->permuted.emplace(
        plain(weights, Tag::abcdef),
        memory::desc(weights, kFloat,
                     {s * c * ci * c * co, c * ci * c * co, ci * c * co, co, c * co, 1}));
    return operation;
  });
}

int32_t frobenius_norm(void* const* arguments) {
  return run(arguments, [&] {
    auto operation = std::make_unique<Operation>();
    const int64_t b = size(arguments, 2);
    const memory::desc x = plain({b, size(arguments, 3), size(arguments, 4)}, Tag::abc);
    const memory::desc y = plain({b, 1, 1}, Tag::abc);
    const dnnl::reduction::primitive_desc desc(
        dnnl::reduction::desc(dnnl::algorithm::reduction_norm_lp_sum, x, y, 2.0F, 0.0F), cpu());
    operation->primitive = dnnl::reduction(desc);
    operation->input(DNNL_ARG_SRC, x, x);
    operation->result(y, y);
    return operation;
  });
}

int32_t attention_scores(void* const* arguments) {
  return run(arguments, [&] {
    const int64_t b = size(arguments, 3);
    const int64_t l = size(arguments, 4);
    const int64_t heads = size(arguments, 5);
    const int64_t d = size(arguments, 6);
    auto operation = std::make_unique<Operation>();
    // Both lie as [b, l, heads, d]; the second is read as its transpose.
    const Dims strides = {l * heads * d, d, heads * d, 1};
    const memory::desc x({b, heads, l, d}, kFloat, strides);
    const memory::desc y({b, heads, d, l}, kFloat, {strides[0], strides[1], 1, strides[2]});
    const memory::desc z = plain({b, heads, l, l}, Tag::abcd);
    const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(x, y, z), cpu());
    operation->primitive = dnnl::matmul(desc);
    operation->input(DNNL_ARG_SRC, x, x);
    operation->input(DNNL_ARG_WEIGHTS, y, y);
    operation->result(z, z);
    return operation;
  });
}

int32_t softmax(void* const* arguments) {
  return run(arguments, [&] {
    auto operation = std::make_unique<Operation>();
    const memory::desc x = plain({size(arguments, 2), size(arguments, 3)}, Tag::ab);
    const dnnl::softmax_v2_forward::primitive_desc desc(
        dnnl::softmax_v2_forward::desc(dnnl::prop_kind::forward_inference,
                                       dnnl::algorithm::softmax_accurate, x, x, 1),
        cpu());
    operation->primitive = dnnl::softmax_v2_forward(desc);
    operation->input(DNNL_ARG_SRC, x, desc.src_desc());
    operation->result(x, desc.dst_desc());
    return operation;
  });
}

int32_t layer_norm(void* const* arguments) {
  return run(arguments, [&] {
    auto operation = std::make_unique<Operation>();
    const int64_t columns = size(arguments, 5);
    const memory::desc x = plain({size(arguments, 4), columns}, Tag::ab);
    const memory::desc row = plain({columns}, Tag::a);
    const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
    const dnnl::layer_normalization_forward::primitive_desc desc(
        dnnl::layer_normalization_forward::desc(dnnl::prop_kind::forward_inference, x, 1e-5F,
                                                flags),
        cpu());
    operation->primitive = dnnl::layer_normalization_forward(desc);
    operation->input(DNNL_ARG_SRC, x, desc.src_desc());
    operation->input(DNNL_ARG_SCALE, row, row);
    operation->input(DNNL_ARG_SHIFT, row, row);
    operation->result(x, desc.dst_desc());
    return operation;
  });
}

int32_t relu(void* const* arguments) {
  return run(arguments, [&] {
    auto operation = std::make_unique<Operation>();
    const memory::desc x = plain({size(arguments, 2)}, Tag::a);
    const dnnl::eltwise_forward::primitive_desc desc(
        dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference,
                                    dnnl::algorithm::eltwise_relu, x, 0.0F, 0.0F),
        cpu());
    operation->primitive = dnnl::eltwise_forward(desc);
    operation->input(DNNL_ARG_SRC, x, desc.src_desc());
    operation->result(x, desc.dst_desc());
    return operation;
  });
}

} // extern "C"
