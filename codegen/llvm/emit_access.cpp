// Loads and stores: where they begin, how they are aligned, masked and kept for the next.
#include "codegen/llvm/emitter.h"

namespace temper::codegen::emitter {

Value* Emitter::widen_integer(Value* value, DataType type) {
  return type.is_int() ? builder_.CreateSExtOrTrunc(value, i64(type.lanes))
                       : builder_.CreateZExtOrTrunc(value, i64(type.lanes));
}

Value* Emitter::emit_division(const Expr& a_expr, const Expr& b_expr, Value* a, Value* b,
                              bool floor, bool quotient) {
  llvm::Type* type = a->getType();
  const auto constant = [&](int64_t value) {
    return llvm::ConstantInt::get(type, static_cast<uint64_t>(value), true);
  };
  const Interval b_range = range_of(b_expr);
  const auto divisor = constant_of(b_expr);
  const bool divisor_positive = b_range.low > 0;
  if (divisor_positive && range_of(a_expr).low >= 0)
    return quotient ? builder_.CreateUDiv(a, b) : builder_.CreateURem(a, b);
  if (floor && divisor && *divisor > 0 && std::has_single_bit(static_cast<uint64_t>(*divisor))) {
    if (quotient)
      return builder_.CreateAShr(a, constant(std::countr_zero(static_cast<uint64_t>(*divisor))));
    return builder_.CreateAnd(a, constant(*divisor - 1));
  }
  // The smallest integer divided by -1 wraps (x86 would trap), so -1 is replaced beforehand.
  Value* negates = nullptr;
  if (!(divisor && *divisor != -1) && !divisor_positive) {
    negates = builder_.CreateICmpEQ(b, constant(-1));
    b = builder_.CreateSelect(negates, constant(1), b);
  }
  Value* result = nullptr;
  if (!floor) {
    result = quotient ? builder_.CreateSDiv(a, b) : builder_.CreateSRem(a, b);
  } else {
    Value* rest = builder_.CreateSRem(a, b);
    Value* opposite =
        builder_.CreateICmpSLT(divisor_positive ? rest : builder_.CreateXor(rest, b), constant(0));
    if (!divisor_positive)
      opposite = builder_.CreateAnd(opposite, builder_.CreateICmpNE(rest, constant(0)));
    if (quotient) {
      Value* down = builder_.CreateSDiv(a, b);
      result = builder_.CreateSelect(opposite, builder_.CreateSub(down, constant(1)), down);
    } else {
      result = builder_.CreateSelect(opposite, builder_.CreateAdd(rest, b), rest);
    }
  }
  if (negates != nullptr)
    result = builder_.CreateSelect(negates, quotient ? builder_.CreateNeg(a) : constant(0), result);
  return result;
}

bool Emitter::make_access(const Buffer& buffer, const std::vector<Expr>& indices, bool masked,
                          Access& access) {
  const auto place = buffers_.find(buffer.get());
  if (place == buffers_.end()) {
    fail(ErrorCode::kInvalidArgument, "buffer '" + buffer->name + "' is not defined here");
    return false;
  }
  if (buffer->layout) {
    fail(ErrorCode::kUnsupported,
         "buffer '" + buffer->name + "' has a layout; flatten buffers before compiling");
    return false;
  }
  access.memory = place->second;
  access.group = buffer->dtype.lanes;
  access.checked = !masked;
  int64_t stride = 1;
  for (size_t i = indices.size(); i-- > 0;) {
    int64_t scale = stride;
    if (!buffer->strides.empty()) {
      const auto given = as_int(buffer->strides[i]);
      if (!given) {
        fail(ErrorCode::kUnsupported, "buffer '" + buffer->name + "' has a symbolic stride");
        return false;
      }
      scale = *given;
    } else {
      const auto extent = as_int(buffer->shape[i]);
      if (!extent && i > 0) {
        fail(ErrorCode::kUnsupported, "buffer '" + buffer->name +
                                          "' has a symbolic shape; bind its sizes before "
                                          "compiling");
        return false;
      }
      stride *= extent.value_or(1);
    }
    access.lanes = std::max<int>(access.lanes, indices[i]->dtype.lanes);
    collect(indices[i], scale, access.index);
  }
  if (buffer->elem_offset)
    collect(buffer->elem_offset, 1, access.index);
  if (access.group > 1) {
    if (access.lanes > 1 && (access.index.step != 1 || !access.index.vector_terms.empty())) {
      fail(ErrorCode::kUnsupported,
           "buffer '" + buffer->name + "' holds vectors, which can only be read side by side");
      return false;
    }
    for (Linear::Term& term : access.index.terms)
      term.coefficient *= access.group;
    access.index.constant *= access.group;
    access.index.step = 1;
    access.lanes *= access.group;
  }
  return true;
}

Value* Emitter::address(Access& access, llvm::Type* element) {
  Value* pointer = access.memory.pointer;
  const auto step = [&](Value* index) {
    // The element's type belongs to the key, and its size tells it.
    const int64_t bits = element->getPrimitiveSizeInBits();
    pointer = access.checked
                  ? once(Pure::kAddress, pointer, index, bits,
                         [&] { return builder_.CreateInBoundsGEP(element, pointer, index); })
                  : once(Pure::kFreeAddress, pointer, index, bits,
                         [&] { return builder_.CreateGEP(element, pointer, index); });
  };
  if (Value* variable = sum_terms(access.index))
    step(variable);
  if (access.index.constant != 0)
    step(const_i64(access.index.constant));
  return pointer;
}

llvm::Align Emitter::alignment_of(const Access& access, int64_t element_bytes,
                                  bool contiguous) const {
  int64_t elements = power_of_two_divisor(access.index.constant);
  for (const Linear::Term& term : access.index.terms)
    elements = std::min(elements, divisor_of(term.leaf) * power_of_two_divisor(term.coefficient));
  if (!contiguous)
    elements = 1;
  return llvm::Align(
      static_cast<uint64_t>(std::min(access.memory.alignment, elements * element_bytes)));
}

Value* Emitter::access_mask(const Expr& predicate, int lanes) {
  Value* mask = predicate ? emit(predicate) : nullptr;
  if (mask != nullptr && lanes > 1 && lanes_of(mask) == 1)
    mask = splat(mask, lanes);
  if (mask_ != nullptr) {
    Value* around = mask_;
    if (lanes_of(around) != lanes)
      around = splat(builder_.CreateOrReduce(around), lanes);
    mask = mask == nullptr ? around : builder_.CreateAnd(mask, around);
  }
  return mask;
}

void Emitter::mark_invariant(llvm::Instruction* load, const Access& access) {
  if (access.memory.invariant)
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
}

Value* Emitter::load_once(Access& access, llvm::Type* element, int lanes) {
  llvm::Type* type = with_lanes(element, lanes);
  const Place place = place_of(access, element, lanes);
  Value* value = held(place);
  if (value != nullptr && value->getType() == type)
    return value;
  const auto bytes = static_cast<int64_t>(element->getPrimitiveSizeInBits()) / 8;
  auto* load =
      builder_.CreateAlignedLoad(type, address(access, element), alignment_of(access, bytes, true));
  mark_invariant(load, access);
  hold_loaded(place, load);
  return load;
}

Value* Emitter::emit_load(const BufferLoad& node) {
  Access access;
  const bool masked = node.predicate || mask_ != nullptr;
  if (!make_access(node.buffer, node.indices, masked, access))
    return llvm::PoisonValue::get(register_type(node.dtype));
  llvm::Type* element = memory_scalar(node.buffer->dtype);
  const int64_t bytes = node.buffer->dtype.element_bytes();
  Value* mask = access_mask(node.predicate, access.lanes);
  const int lanes = access.lanes;
  Value* result = nullptr;
  if (mask != nullptr)
    note_read(access.memory.pointer);
  const bool uniform = lanes > 1 && access.index.step == 0 && access.index.vector_terms.empty();
  if (lanes == 1 || (uniform && mask == nullptr)) {
    if (mask == nullptr) {
      result = splat(load_once(access, element, 1), lanes);
    } else {
      Value* pointer = address(access, element);
      const llvm::Align align = alignment_of(access, bytes, true);
      // One lane that may be off: a vector of one element keeps it branch-free.
      auto* vector = llvm::FixedVectorType::get(element, 1);
      Value* one = builder_.CreateInsertElement(
          llvm::PoisonValue::get(llvm::FixedVectorType::get(builder_.getInt1Ty(), 1)), mask,
          uint64_t{0});
      Value* load = builder_.CreateMaskedLoad(vector, pointer, align, one,
                                              llvm::Constant::getNullValue(vector));
      result = builder_.CreateExtractElement(load, uint64_t{0});
    }
  } else if (std::abs(access.index.step) == 1 && access.index.vector_terms.empty()) {
    const bool backwards = access.index.step == -1;
    if (backwards) {
      access.index.constant -= lanes - 1;
      if (mask != nullptr)
        mask = reverse(mask);
    }
    auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
    if (mask == nullptr) {
      result = load_once(access, element, lanes);
    } else {
      Value* pointer = address(access, element);
      const llvm::Align align = alignment_of(access, bytes, true);
      auto* load = builder_.CreateMaskedLoad(vector, pointer, align, mask,
                                             llvm::Constant::getNullValue(vector));
      mark_invariant(load, access);
      result = load;
    }
    if (backwards)
      result = reverse(result);
  } else {
    auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
    note_read(access.memory.pointer);
    Value* pointer = address(access, element);
    Value* pointers = builder_.CreateGEP(element, pointer, sum_lanes(access.index, lanes));
    if (mask == nullptr)
      mask = llvm::ConstantInt::getTrue(with_lanes(builder_.getInt1Ty(), lanes));
    auto* load =
        builder_.CreateMaskedGather(vector, pointers, llvm::Align(static_cast<uint64_t>(bytes)),
                                    mask, llvm::Constant::getNullValue(vector));
    mark_invariant(load, access);
    result = load;
  }
  return node.dtype.is_bool() ? builder_.CreateIsNotNull(result) : result;
}

void Emitter::store_and_hold(Access& access, Value* value, llvm::Type* element, int lanes) {
  const auto bytes = static_cast<int64_t>(element->getPrimitiveSizeInBits()) / 8;
  llvm::StoreInst* store = builder_.CreateAlignedStore(value, address(access, element),
                                                       alignment_of(access, bytes, true));
  hold_stored(place_of(access, element, lanes), value, store);
}

void Emitter::emit_store(const BufferStore& node) {
  Value* value = emit(node.value);
  Access access;
  if (!make_access(node.buffer, node.indices, static_cast<bool>(node.predicate), access))
    return;
  llvm::Type* element = memory_scalar(node.buffer->dtype);
  const int64_t bytes = node.buffer->dtype.element_bytes();
  const int lanes = access.lanes;
  Value* mask = node.predicate ? access_mask(node.predicate, lanes) : nullptr;
  if (node.buffer->dtype.is_bool())
    value = builder_.CreateZExt(value, with_lanes(element, lanes_of(value)));
  if (lanes_of(value) == 1)
    value = splat(value, lanes);
  if (lanes_of(value) != lanes)
    return fail(ErrorCode::kInvalidArgument, "a store to '" + node.buffer->name + "' has " +
                                                 std::to_string(lanes) + " lanes of index and " +
                                                 std::to_string(lanes_of(value)) + " of value");
  if (lanes == 1) {
    if (mask == nullptr) {
      store_and_hold(access, value, element, lanes);
      return;
    }
    Value* pointer = address(access, element);
    const llvm::Align align = alignment_of(access, bytes, true);
    BasicBlock* write = new_block("write");
    BasicBlock* next = new_block("");
    builder_.CreateCondBr(mask, write, next);
    builder_.SetInsertPoint(write);
    builder_.CreateAlignedStore(value, pointer, align);
    builder_.CreateBr(next);
    builder_.SetInsertPoint(next);
    return;
  }
  if (std::abs(access.index.step) == 1 && access.index.vector_terms.empty()) {
    if (access.index.step == -1) {
      access.index.constant -= lanes - 1;
      value = reverse(value);
      if (mask != nullptr)
        mask = reverse(mask);
    }
    if (mask == nullptr) {
      store_and_hold(access, value, element, lanes);
    } else {
      Value* pointer = address(access, element);
      const llvm::Align align = alignment_of(access, bytes, true);
      builder_.CreateMaskedStore(value, pointer, align, mask);
      forget_all_of(access.memory.pointer);
    }
    return;
  }
  forget_all_of(access.memory.pointer);
  Value* pointer = address(access, element);
  Value* pointers = builder_.CreateGEP(element, pointer, sum_lanes(access.index, lanes));
  builder_.CreateMaskedScatter(value, pointers, llvm::Align(static_cast<uint64_t>(bytes)), mask);
}

} // namespace temper::codegen::emitter
