// Loads and stores of the interpreter. Every index is compared with the shape, and every element
// has a stamp that says whether it was written since its buffer came to life.
#include "ir/detail/interpreter.h"
#include "ir/support/half.h"

#include <algorithm>
#include <cstring>

namespace temper::ir::interpreter {
namespace {

template <typename T> T raw_load(const std::byte* address) {
  T value;
  std::memcpy(&value, address, sizeof value);
  return value;
}
template <typename T> void raw_store(std::byte* address, T value) {
  std::memcpy(address, &value, sizeof value);
}

// One element by type: how it lies in memory, how it lies in a slot.
template <typename T> struct IntegerElement {
  static constexpr int kBytes = sizeof(T);
  static Slot load(const std::byte* address) {
    return interpreter::slot_of(static_cast<int64_t>(raw_load<T>(address)));
  }
  static void store(std::byte* address, Slot value) { raw_store(address, static_cast<T>(value.i)); }
};
template <typename T> struct FloatElement {
  static constexpr int kBytes = sizeof(T);
  static Slot load(const std::byte* address) {
    return interpreter::slot_of(static_cast<double>(raw_load<T>(address)));
  }
  static void store(std::byte* address, Slot value) { raw_store(address, static_cast<T>(value.d)); }
};
struct HalfElement {
  static constexpr int kBytes = 2;
  static Slot load(const std::byte* address) {
    return interpreter::slot_of(static_cast<double>(float16_to_float(raw_load<uint16_t>(address))));
  }
  static void store(std::byte* address, Slot value) {
    raw_store(address, float_to_float16(static_cast<float>(value.d)));
  }
};
struct BFloatElement {
  static constexpr int kBytes = 2;
  static Slot load(const std::byte* address) {
    return interpreter::slot_of(
        static_cast<double>(bfloat16_to_float(raw_load<uint16_t>(address))));
  }
  static void store(std::byte* address, Slot value) {
    raw_store(address, float_to_bfloat16(static_cast<float>(value.d)));
  }
};

/// Calls `f` with the element type of `dtype`; false when there is none.
template <typename F> bool with_element(DataType dtype, F&& f) {
  switch (dtype.code) {
  case TypeCode::kBool:
    f(IntegerElement<uint8_t>());
    return true;
  case TypeCode::kInt:
    switch (dtype.bits) {
    case 8:
      f(IntegerElement<int8_t>());
      return true;
    case 16:
      f(IntegerElement<int16_t>());
      return true;
    case 32:
      f(IntegerElement<int32_t>());
      return true;
    case 64:
      f(IntegerElement<int64_t>());
      return true;
    default:
      return false;
    }
  case TypeCode::kUInt:
    switch (dtype.bits) {
    case 8:
      f(IntegerElement<uint8_t>());
      return true;
    case 16:
      f(IntegerElement<uint16_t>());
      return true;
    case 32:
      f(IntegerElement<uint32_t>());
      return true;
    case 64:
      f(IntegerElement<uint64_t>());
      return true;
    default:
      return false;
    }
  case TypeCode::kFloat:
    switch (dtype.bits) {
    case 16:
      f(HalfElement());
      return true;
    case 32:
      f(FloatElement<float>());
      return true;
    case 64:
      f(FloatElement<double>());
      return true;
    default:
      return false;
    }
  case TypeCode::kBFloat:
    f(BFloatElement());
    return true;
  case TypeCode::kHandle:
    return false;
  }
  return false;
}

/// The indices of an access: finds the element, or notes why there is none.
class Place {
public:
  Place(std::vector<CodePtr> indices, int slot, const Buffer& buffer, const Node* node)
      : indices_(std::move(indices)), slot_(static_cast<size_t>(slot)), buffer_(buffer.get()),
        node_(node), group_(buffer->dtype.lanes) {
    for (const CodePtr& index : indices_)
      lanes_ = std::max(lanes_, index->count());
  }

  int lanes() const { return lanes_; }
  int group() const { return group_; }
  BufferState& state(Frame& frame) const { return frame.buffers[slot_]; }
  const BufferNode& buffer() const { return *buffer_; }
  const Node* node() const { return node_; }

  /// Of a scalar access; -1 after an error.
  int64_t element(Frame& frame) const {
    const BufferState& state = frame.buffers[slot_];
    int64_t element = state.offset;
    for (size_t d = 0; d < indices_.size(); ++d) {
      const int64_t index = indices_[d]->scalar(frame).i;
      if (static_cast<uint64_t>(index) >= static_cast<uint64_t>(state.shape[d]))
        return outside(frame, state, d, index);
      element += index * state.strides[d];
    }
    return in_memory(frame, state, element);
  }

  /// Of each lane. `mask` (may be null) says which lanes count; the others are -1.
  void elements(Frame& frame, const Slot* mask, int64_t* out) const {
    const BufferState& state = frame.buffers[slot_];
    std::fill_n(out, lanes_, state.offset);
    Scratch index(frame, lanes_);
    for (size_t d = 0; d < indices_.size(); ++d) {
      const int count = indices_[d]->count();
      indices_[d]->eval(frame, index.get());
      for (int l = 0; l < lanes_; ++l) {
        const int64_t value = index[count == 1 ? 0 : l].i;
        if (mask != nullptr && mask[l].i == 0)
          out[l] = -1;
        else if (static_cast<uint64_t>(value) >= static_cast<uint64_t>(state.shape[d]))
          out[l] = outside(frame, state, d, value);
        else if (out[l] >= 0)
          out[l] += value * state.strides[d];
      }
    }
    for (int l = 0; l < lanes_; ++l)
      if (out[l] >= 0)
        out[l] = in_memory(frame, state, out[l]);
  }

  void unwritten(Frame& frame) const {
    // Memory that the program does not allocate is the caller's.
    const BufferState& state = frame.buffers[slot_];
    const bool is_output = state.memory.empty() && state.data != nullptr;
    frame.fail(node_, "read of an element of " + buffer_->name + " that was never written" +
                          (is_output ? "; where the caller gives " + buffer_->name +
                                           " its values, the workload says so: inputs=dict(" +
                                           buffer_->name + "=\"normal\")"
                                     : std::string()));
  }

private:
  int64_t outside(Frame& frame, const BufferState& state, size_t dimension, int64_t index) const {
    if (frame.failed())
      return -1;
    std::string shape;
    for (int64_t extent : state.shape)
      shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
    frame.fail(node_, "index " + std::to_string(index) + " in dimension " +
                          std::to_string(dimension) + " of " + buffer_->name +
                          " is outside its shape [" + shape + "]");
    return -1;
  }
  int64_t in_memory(Frame& frame, const BufferState& state, int64_t element) const {
    if (static_cast<uint64_t>(element) < static_cast<uint64_t>(state.count))
      return element;
    frame.fail(node_, "strides or offset of " + buffer_->name +
                          " lead outside of its memory, to element " + std::to_string(element));
    return -1;
  }

  std::vector<CodePtr> indices_;
  size_t slot_;
  const BufferNode* buffer_;
  const Node* node_;
  int lanes_ = 1;
  int group_; ///< lanes of one element of the buffer
};

template <typename E> class Load final : public Code {
public:
  Load(int count, Place place, CodePtr predicate)
      : Code(count), place_(std::move(place)), predicate_(std::move(predicate)) {}

  Slot scalar(Frame& frame) override {
    if (predicate_ && predicate_->scalar(frame).i == 0)
      return {.i = 0};
    const int64_t element = place_.element(frame);
    if (element < 0)
      return {.i = 0};
    return read(frame, element, 0);
  }

  void lanes(Frame& frame, Slot* out) override {
    const int lanes = place_.lanes();
    Scratch mask(frame, predicate_ ? lanes : 1);
    Scratch elements(frame, lanes);
    if (predicate_) {
      predicate_->eval(frame, mask.get());
      for (int l = predicate_->count(); l < lanes; ++l)
        mask[l] = mask[0];
    }
    auto* at = reinterpret_cast<int64_t*>(elements.get());
    place_.elements(frame, predicate_ ? mask.get() : nullptr, at);
    for (int l = 0; l < lanes; ++l)
      for (int g = 0; g < place_.group(); ++g)
        out[l * place_.group() + g] = at[l] < 0 ? Slot{.i = 0} : read(frame, at[l], g);
  }

private:
  Slot read(Frame& frame, int64_t element, int lane) {
    const BufferState& state = place_.state(frame);
    if (state.stamps != nullptr && state.stamps[element] != state.generation) {
      place_.unwritten(frame);
      return {.i = 0};
    }
    return E::load(state.data + (element * place_.group() + lane) * E::kBytes);
  }

  Place place_;
  CodePtr predicate_;
};

template <typename E> class Store final : public Action {
public:
  Store(Place place, CodePtr value, CodePtr predicate)
      : place_(std::move(place)), value_(std::move(value)), predicate_(std::move(predicate)) {}

  Flow run(Frame& frame) override {
    if (!frame.step(place_.node()))
      return Flow::kError;
    if (place_.lanes() == 1 && place_.group() == 1 && !predicate_) {
      const Slot value = value_->scalar(frame);
      const int64_t element = place_.element(frame);
      if (frame.failed())
        return Flow::kError;
      write(frame, element, 0, value);
      return Flow::kNext;
    }
    const int lanes = place_.lanes();
    const int group = place_.group();
    Scratch values(frame, lanes * group);
    Scratch mask(frame, predicate_ ? lanes : 1);
    Scratch elements(frame, lanes);
    value_->eval(frame, values.get());
    for (int l = value_->count(); l < lanes * group; ++l)
      values[l] = values[l % value_->count()];
    if (predicate_) {
      predicate_->eval(frame, mask.get());
      for (int l = predicate_->count(); l < lanes; ++l)
        mask[l] = mask[0];
    }
    auto* at = reinterpret_cast<int64_t*>(elements.get());
    place_.elements(frame, predicate_ ? mask.get() : nullptr, at);
    if (frame.failed())
      return Flow::kError;
    for (int l = 0; l < lanes; ++l)
      for (int g = 0; g < group && at[l] >= 0; ++g)
        write(frame, at[l], g, values[l * group + g]);
    return Flow::kNext;
  }

private:
  void write(Frame& frame, int64_t element, int lane, Slot value) {
    BufferState& state = place_.state(frame);
    E::store(state.data + (element * place_.group() + lane) * E::kBytes, value);
    if (state.stamps != nullptr)
      state.stamps[element] = state.generation;
  }

  Place place_;
  CodePtr value_;
  CodePtr predicate_;
};

} // namespace

CodePtr compile_load(Compiler& compiler, const BufferLoad& load) {
  const int slot = compiler.slot_of(load.buffer, &load);
  std::vector<CodePtr> indices = compiler.compile(load.indices);
  CodePtr predicate = load.predicate ? compiler.compile(load.predicate) : nullptr;
  CodePtr code;
  if (load.indices.size() != load.buffer->shape.size())
    compiler.fail(&load,
                  load.buffer->name + " has " + std::to_string(load.buffer->shape.size()) +
                      " dimensions and is read with " + std::to_string(load.indices.size()) +
                      " indices",
                  ErrorCode::kFailed);
  else if (slot >= 0 && !with_element(load.buffer->dtype, [&](auto element) {
             code = std::make_unique<Load<decltype(element)>>(
                 load.dtype.lanes, Place(std::move(indices), slot, load.buffer, &load),
                 std::move(predicate));
           }))
    compiler.fail(&load, "a buffer of " + to_string(load.buffer->dtype) + " cannot be read");
  if (!code) // Something that can be evaluated, so that compiling goes on to its end.
    code = compiler.compile(make_int(DataType::int32(), 0));
  return code;
}

ActionPtr compile_store(Compiler& compiler, const tir::BufferStore& store) {
  const int slot = compiler.slot_of(store.buffer, &store);
  std::vector<CodePtr> indices = compiler.compile(store.indices);
  CodePtr value = compiler.compile(store.value);
  CodePtr predicate = store.predicate ? compiler.compile(store.predicate) : nullptr;
  ActionPtr action;
  if (store.indices.size() != store.buffer->shape.size())
    compiler.fail(&store,
                  store.buffer->name + " has " + std::to_string(store.buffer->shape.size()) +
                      " dimensions and is written with " + std::to_string(store.indices.size()) +
                      " indices",
                  ErrorCode::kFailed);
  else if (slot >= 0 && !with_element(store.buffer->dtype, [&](auto element) {
             action = std::make_unique<Store<decltype(element)>>(
                 Place(std::move(indices), slot, store.buffer, &store), std::move(value),
                 std::move(predicate));
           }))
    compiler.fail(&store, "a buffer of " + to_string(store.buffer->dtype) + " cannot be written");
  return action;
}

void BufferState::allocate(DataType dtype) {
  count = 1;
  strides.resize(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = count;
    count *= std::max<int64_t>(shape[d], 0);
  }
  offset = 0;
  const auto bytes = static_cast<size_t>(count) * static_cast<size_t>(dtype.bytes());
  if (memory.size() < bytes || stamp_memory.size() < static_cast<size_t>(count)) {
    memory.assign(std::max<size_t>(bytes, 1), std::byte{0});
    stamp_memory.assign(static_cast<size_t>(count), 0);
    generation = 0;
  }
  ++generation;
  data = memory.data();
  stamps = stamp_memory.data();
}

} // namespace temper::ir::interpreter
