// Calls: mathematics, LLVM's own intrinsics, atomics, tiles of AMX, printing.
#include "codegen/llvm/emitter.h"
#include "ir/tir/statement_call.h"

namespace temper::codegen::emitter {

Value* Emitter::emit_call(const Call& call) {
  const OpInfo* op = find_op(call.op);
  if (op == nullptr || (op->arity >= 0 && static_cast<size_t>(op->arity) != call.args.size()))
    return unsupported("T." + call.op + " is no operation that code for a CPU can have",
                       call.dtype);
  const std::string& name = call.op;
  if (tir::is_atomic(call))
    return emit_atomic(call);
  if (name == tir::kPrint)
    return emit_print(call);
  if (op->result == OpResult::kStatement)
    return unsupported("T." + name +
                           " is an instruction of a GPU, which a CPU does not have: "
                           "take a cuda target, or --device emulated",
                       call.dtype);
  if (name == "if_then_else")
    return emit_if_then_else(call.args[0], call.args[1], call.args[2]);
  if (name == "likely")
    return emit(call.args[0]);
  if (name == "isnan" || name == "isinf" || name == "isfinite") {
    Value* value = emit(call.args[0]);
    if (is_small_float(call.args[0]->dtype))
      value = widen_float(value, call.args[0]->dtype);
    if (name == "isnan")
      return builder_.CreateFCmpUNO(value, value);
    Value* magnitude = builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value);
    Value* infinity = llvm::ConstantFP::getInfinity(value->getType());
    return name == "isinf" ? builder_.CreateFCmpOEQ(magnitude, infinity)
                           : builder_.CreateFCmpOLT(magnitude, infinity);
  }
  if (name == "prefetch")
    return emit_prefetch(call);
  if (name == "amx_multiply_add") {
    const Call* const alone = &call;
    return emit_amx({&alone, 1});
  }
  if (name == "call_llvm_pure_intrin")
    return emit_llvm_intrinsic(call);
  if (name == "table_lookup")
    return emit_lookup(call);
  std::vector<Value*> args;
  for (const Expr& arg : call.args)
    args.push_back(emit(arg));
  const DataType type = call.args.empty() ? call.dtype : call.args[0]->dtype;
  if (name == "reinterpret")
    return emit_reinterpret(args[0], type, call.dtype);
  if (name == "bitwise_and")
    return builder_.CreateAnd(args[0], args[1]);
  if (name == "bitwise_or")
    return builder_.CreateOr(args[0], args[1]);
  if (name == "bitwise_xor")
    return builder_.CreateXor(args[0], args[1]);
  if (name == "bitwise_not")
    return builder_.CreateNot(args[0]);
  if (name == "shift_left")
    return builder_.CreateShl(args[0], args[1]);
  if (name == "shift_right")
    return type.is_int() ? builder_.CreateAShr(args[0], args[1])
                         : builder_.CreateLShr(args[0], args[1]);
  if (name == "popcount")
    return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, args[0]);
  if (name == "clz")
    return builder_.CreateIntrinsic(args[0]->getType(), llvm::Intrinsic::ctlz,
                                    {args[0], builder_.getFalse()});
  if (name == "abs")
    return type.is_int() ? builder_.CreateIntrinsic(args[0]->getType(), llvm::Intrinsic::abs,
                                                    {args[0], builder_.getFalse()})
                         : args[0];
  if (name == "vector_reduce_add")
    return reduce(args[0], [&](Value* a, Value* b) -> Value* { return builder_.CreateAdd(a, b); });
  if (name == "vector_reduce_max" || name == "vector_reduce_min") {
    const bool minimum = name == "vector_reduce_min";
    return reduce(args[0], [&](Value* a, Value* b) -> Value* {
      if (type.is_bool())
        return minimum ? builder_.CreateAnd(a, b) : builder_.CreateOr(a, b);
      return builder_.CreateBinaryIntrinsic(extremum(type, minimum), a, b);
    });
  }
  return unsupported("T." + name + " on " + to_string(type) + " cannot be compiled for a CPU",
                     call.dtype);
}

bool Emitter::types_in_name(llvm::Intrinsic::ID id, const Call& call,
                            llvm::SmallVectorImpl<llvm::Type*>& types) {
  if (!llvm::Intrinsic::isOverloaded(id))
    return true;
  std::vector<llvm::Type*> parameters;
  for (size_t i = 1; i < call.args.size(); ++i)
    parameters.push_back(register_type(call.args[i]->dtype));
  llvm::SmallVector<llvm::Intrinsic::IITDescriptor, 8> table;
  llvm::Intrinsic::getIntrinsicInfoTableEntries(id, table);
  llvm::ArrayRef<llvm::Intrinsic::IITDescriptor> rest = table;
  return llvm::Intrinsic::matchIntrinsicSignature(
             llvm::FunctionType::get(register_type(call.dtype), parameters, false), rest, types) ==
             llvm::Intrinsic::MatchIntrinsicTypes_Match &&
         llvm::Intrinsic::getName(id, types, &module_) == call.args[0].as<StringImm>()->value;
}

Value* Emitter::emit_llvm_intrinsic(const Call& call) {
  const auto* name = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
  if (name == nullptr)
    return unsupported("T.call_llvm_pure_intrin needs LLVM's name of an instruction", call.dtype);
  const llvm::Intrinsic::ID id = llvm::Function::lookupIntrinsicID(name->value);
  llvm::SmallVector<llvm::Type*, 4> types;
  if (id == llvm::Intrinsic::not_intrinsic || !types_in_name(id, call, types))
    return unsupported("LLVM " LLVM_VERSION_STRING " knows no instruction '" + name->value + "'",
                       call.dtype);
  llvm::Function* function = llvm::Intrinsic::getDeclaration(&module_, id, types);
  const llvm::FunctionType* type = function->getFunctionType();
  const auto wrong = [&](const std::string& what) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    type->print(stream);
    return unsupported(name->value + " is " + text + ": " + what, call.dtype);
  };
  if (type->getNumParams() != call.args.size() - 1)
    return wrong("not of " + std::to_string(call.args.size() - 1) + " arguments");
  if (!function->doesNotAccessMemory())
    return wrong("it touches memory");
  std::vector<Value*> args;
  for (unsigned i = 0; i < type->getNumParams(); ++i) {
    Value* value = emit(call.args[i + 1]);
    llvm::Type* wanted = type->getParamType(i);
    if (value->getType() != wanted) {
      if (value->getType()->getPrimitiveSizeInBits() != wanted->getPrimitiveSizeInBits() ||
          wanted->getPrimitiveSizeInBits() == 0)
        return wrong("argument " + std::to_string(i) + " is " + to_string(call.args[i + 1]->dtype));
      value = builder_.CreateBitCast(value, wanted);
    }
    args.push_back(value);
  }
  Value* result = builder_.CreateCall(function, args);
  llvm::Type* own = register_type(call.dtype);
  if (result->getType() == own)
    return result;
  if (result->getType()->getPrimitiveSizeInBits() != own->getPrimitiveSizeInBits() ||
      own->getPrimitiveSizeInBits() == 0)
    return wrong("its result is not " + to_string(call.dtype));
  return builder_.CreateBitCast(result, own);
}

Value* Emitter::emit_lookup(const Call& call) {
  const DataType type = call.dtype;
  const DataType index_type = call.args[1]->dtype;
  if (call.args[0]->dtype.lanes != 16 || call.args[0]->dtype.bits != 8 || index_type.bits != 8 ||
      index_type.lanes != type.lanes)
    return unsupported("T.table_lookup takes 16 bytes and as many indices as it gives lanes", type);
  Value* table = emit(call.args[0]);
  // The instruction gives zero where the highest bit is set: it must not be.
  Value* index =
      builder_.CreateAnd(emit(call.args[1]), llvm::ConstantInt::get(register_type(index_type), 15));
  llvm::Intrinsic::ID shuffle = llvm::Intrinsic::not_intrinsic;
  if (type.lanes == 16)
    shuffle = llvm::Intrinsic::x86_ssse3_pshuf_b_128;
  else if (type.lanes == 32)
    shuffle = llvm::Intrinsic::x86_avx2_pshuf_b;
  else if (type.lanes == 64)
    shuffle = llvm::Intrinsic::x86_avx512_pshuf_b_512;
  if (options_.byte_shuffle_bits < type.lanes * 8)
    shuffle = llvm::Intrinsic::not_intrinsic;
  if (shuffle != llvm::Intrinsic::not_intrinsic) {
    std::vector<int> repeated;
    for (int lane = 0; lane < type.lanes; ++lane)
      repeated.push_back(lane % 16);
    return builder_.CreateIntrinsic(shuffle, {},
                                    {builder_.CreateShuffleVector(table, repeated), index});
  }
  if (type.lanes == 1)
    return builder_.CreateExtractElement(table, index);
  Value* result = llvm::PoisonValue::get(register_type(type));
  for (int lane = 0; lane < type.lanes; ++lane) {
    Value* place = builder_.CreateExtractElement(index, static_cast<uint64_t>(lane));
    result = builder_.CreateInsertElement(result, builder_.CreateExtractElement(table, place),
                                          static_cast<uint64_t>(lane));
  }
  return result;
}

Value* Emitter::emit_reinterpret(Value* value, DataType from, DataType to) {
  if (from.bits * from.lanes != to.bits * to.lanes || from.is_bool() || to.is_bool() ||
      from.is_handle() || to.is_handle())
    return unsupported("T.reinterpret needs types of the same size, not " + to_string(from) +
                           " and " + to_string(to),
                       to);
  return builder_.CreateBitCast(value, register_type(to));
}

Value* Emitter::emit_prefetch(const Call& call) {
  const auto* load = call.args[0].as<BufferLoad>();
  const auto write = as_int(call.args[1]);
  const auto locality = as_int(call.args[2]);
  if (load == nullptr || !write || !locality)
    return unsupported("T.prefetch takes an element of a buffer and two constants", call.dtype);
  Access access;
  // A hint may point past the end: the address must not be assumed to be inside.
  if (make_access(load->buffer, load->indices, true, access)) {
    Value* pointer = address(access, memory_scalar(load->buffer->dtype));
    builder_.CreateIntrinsic(
        llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
        {pointer, builder_.getInt32(*write != 0),
         builder_.getInt32(static_cast<uint32_t>(std::clamp<int64_t>(*locality, 0, 3))),
         builder_.getInt32(1)});
  }
  return llvm::Constant::getNullValue(register_type(call.dtype));
}

Value* Emitter::emit_print(const Call& call) {
  constexpr uint32_t kStandardOutput = 1;
  std::vector<Value*> args{builder_.getInt32(kStandardOutput),
                           builder_.CreateGlobalStringPtr(tir::print_format(call), "line")};
  for (size_t i = 1; i < call.args.size(); ++i) {
    const DataType type = call.args[i]->dtype;
    Value* value = emit(call.args[i]);
    if (!type.is_scalar())
      return unsupported("T.print of " + to_string(type) + " cannot be compiled for a CPU",
                         call.dtype);
    args.push_back(type.is_floating()
                       ? builder_.CreateFPExt(value, builder_.getDoubleTy())
                       : builder_.CreateIntCast(value, builder_.getInt64Ty(), type.is_int()));
  }
  builder_.CreateCall(
      module_.getOrInsertFunction(
          "dprintf", llvm::FunctionType::get(builder_.getInt32Ty(),
                                             {builder_.getInt32Ty(), builder_.getPtrTy()}, true)),
      args);
  return llvm::Constant::getNullValue(register_type(call.dtype));
}

Value* Emitter::emit_atomic(const Call& call) {
  using Operation = llvm::AtomicRMWInst;
  constexpr auto kOrder = llvm::AtomicOrdering::Monotonic;
  const auto* place = call.args[0].as<BufferLoad>();
  const DataType type = call.args[0]->dtype;
  if (place == nullptr || !type.is_scalar() || (type.bits != 32 && type.bits != 64))
    return unsupported("T." + call.op + " takes an element of 32 or 64 bits", call.dtype);
  Value* value = emit(call.args[1]);
  Value* none = llvm::Constant::getNullValue(register_type(call.dtype));
  Access access;
  if (!make_access(place->buffer, place->indices, false, access))
    return none;
  forget_all_of(access.memory.pointer);
  llvm::Type* element = memory_scalar(type);
  Value* pointer = address(access, element);
  const llvm::Align alignment(static_cast<uint64_t>(type.element_bytes()));
  const bool adds = call.op == "atomic_add";
  const bool largest = call.op == "atomic_max";
  if (adds || !type.is_floating()) {
    const auto operation = adds ? (type.is_floating() ? Operation::FAdd : Operation::Add)
                           : type.is_uint() ? (largest ? Operation::UMax : Operation::UMin)
                                            : (largest ? Operation::Max : Operation::Min);
    builder_.CreateAtomicRMW(operation, pointer, value, alignment, kOrder);
    return none;
  }
  // What T.max makes of NaN is not what the instruction for floats would.
  llvm::Type* bits = builder_.getIntNTy(static_cast<unsigned>(type.bits));
  llvm::LoadInst* first = builder_.CreateAlignedLoad(bits, pointer, alignment);
  first->setAtomic(kOrder);
  BasicBlock* before = builder_.GetInsertBlock();
  BasicBlock* attempt = new_block("attempt");
  BasicBlock* done = new_block("done");
  builder_.CreateBr(attempt);
  builder_.SetInsertPoint(attempt);
  llvm::PHINode* seen = builder_.CreatePHI(bits, 2);
  Value* now = builder_.CreateBitCast(seen, element);
  Value* result =
      builder_.CreateBitCast(largest ? float_max(now, value) : float_min(now, value), bits);
  Value* exchanged = builder_.CreateAtomicCmpXchg(pointer, seen, result, alignment, kOrder, kOrder);
  seen->addIncoming(first, before);
  seen->addIncoming(builder_.CreateExtractValue(exchanged, 0), attempt);
  builder_.CreateCondBr(builder_.CreateExtractValue(exchanged, 1), done, attempt);
  builder_.SetInsertPoint(done);
  return none;
}

const Call* Emitter::as_amx(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr && call->op == "amx_multiply_add" ? call : nullptr;
}

bool Emitter::goes_on(const Call& first, const Call& next) {
  const auto buffer = [](const Call& call, size_t operand) -> const Node* {
    const auto* load = call.args[3 * operand].as<BufferLoad>();
    return load != nullptr ? load->buffer.get() : nullptr;
  };
  for (const size_t same : {0, 1, 2, 9, 10})
    if (!structural_equal(first.args[same], next.args[same]))
      return false;
  return is_int(next.args[12], 0) && buffer(next, 1) == buffer(first, 1) &&
         buffer(next, 2) == buffer(first, 2) && buffer(next, 1) != buffer(first, 0) &&
         buffer(next, 2) != buffer(first, 0);
}

namespace {

/// What a product of tiles has in common with the one before it, into the same sums.
AmxShared shared_operand(const Call& before, const Call& call) {
  const auto same = [&](std::initializer_list<size_t> args) {
    return std::all_of(args.begin(), args.end(), [&](size_t arg) {
      return structural_equal(before.args[arg], call.args[arg]);
    });
  };
  if (!same({11}))
    return AmxShared::kNothing;
  return same({3, 4, 5}) ? AmxShared::kA : same({6, 7, 8}) ? AmxShared::kB : AmxShared::kNothing;
}

} // namespace

Value* Emitter::emit_amx(std::span<const Call* const> calls) {
  const Call& first = *calls.front();
  const auto rows = as_int(first.args[9]);
  const auto columns = as_int(first.args[10]);
  std::vector<DataType> types; // of C, A and B
  std::vector<Value*> args;
  bool known = rows && columns;
  // The first element, and how many bytes the second row lies behind it.
  const auto operand = [&](const Call& call, size_t number) {
    std::vector<Value*> places;
    for (size_t row = 0; row < 2; ++row) {
      const auto* load = call.args[3 * number + row].as<BufferLoad>();
      Access access;
      if (load == nullptr || !make_access(load->buffer, load->indices, false, access))
        return false;
      forget_all_of(access.memory.pointer); // read, and of C written
      places.push_back(address(access, memory_scalar(load->buffer->dtype)));
      if (types.size() == number)
        types.push_back(load->buffer->dtype);
    }
    args.push_back(places[0]);
    args.push_back(builder_.CreatePtrDiff(builder_.getInt8Ty(), places[1], places[0]));
    return true;
  };
  if (!operand(first, 0))
    return unsupported("T.amx_multiply_add takes elements of buffers", first.dtype);
  args.push_back(builder_.CreateIsNotNull(emit(first.args[12])));
  std::vector<AmxShared> products;
  for (const Call* call : calls) {
    products.push_back(call == &first ? AmxShared::kNothing
                                      : shared_operand(*calls[products.size() - 1], *call));
    if (!operand(*call, 1) || !operand(*call, 2))
      return unsupported("T.amx_multiply_add takes elements of buffers", first.dtype);
    const auto bytes = as_int(call->args[11]).value_or(0) * types[1].bytes();
    known = known && bytes > 0 && bytes % 64 == 0;
    args.push_back(builder_.getInt64(static_cast<uint64_t>(bytes / 64)));
  }
  llvm::Function* function = nullptr;
  if (known && *columns == 32 && types[0].bits == 32)
    function = amx_multiply_add(module_, types[1], types[2], static_cast<int>(*rows), products);
  if (function == nullptr)
    return unsupported("T.amx_multiply_add takes 1 to 32 rows and 32 columns of sums of "
                       "bfloat16 or bytes, 64 bytes at a time",
                       first.dtype);
  builder_.CreateCall(function, args);
  return llvm::Constant::getNullValue(register_type(first.dtype));
}

} // namespace temper::codegen::emitter
