// A function, its frame and its memory; the entry that callers see.
#include "codegen/llvm/emitter.h"

namespace temper::codegen {
namespace emitter {

Result<Emitted> Emitter::run(const PrimFuncNode& function) {
  auto signature = signature_of(PrimFunc(&function));
  if (!signature)
    return std::move(signature).error();
  Emitted emitted;
  emitted.signature = *std::move(signature);
  emit_kernel(function, emitted.signature);
  emit_assertions();
  emitted.parallel = parallel_loops_ > 0;
  if (error_)
    return std::move(*error_);
  return emitted;
}

void Emitter::fail(ErrorCode code, std::string sentence) {
  if (!error_)
    error_ = Error(code, std::move(sentence));
}

Value* Emitter::unsupported(std::string sentence, DataType type) {
  fail(ErrorCode::kUnsupported, std::move(sentence));
  return llvm::PoisonValue::get(register_type(type));
}

llvm::Type* Emitter::scalar_type(DataType type) {
  switch (type.code) {
  case TypeCode::kInt:
  case TypeCode::kUInt:
    return builder_.getIntNTy(type.bits);
  case TypeCode::kBool:
    return builder_.getInt1Ty();
  case TypeCode::kBFloat:
    return builder_.getInt16Ty();
  case TypeCode::kFloat:
    return type.bits == 16   ? builder_.getHalfTy()
           : type.bits == 32 ? builder_.getFloatTy()
                             : builder_.getDoubleTy();
  case TypeCode::kHandle:
    break;
  }
  return builder_.getPtrTy();
}

int Emitter::lanes_of(Value* value) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector == nullptr ? 1 : static_cast<int>(vector->getNumElements());
}

void Emitter::forget_other_blocks() {
  if (made_in_ == builder_.GetInsertBlock())
    return;
  made_.clear();
  held_.clear();
  made_in_ = builder_.GetInsertBlock();
}

Value* Emitter::held(const Place& at) {
  forget_other_blocks();
  for (const Held& known : held_[at.base])
    if (known.at.variable == at.variable && known.at.constant == at.constant &&
        known.at.lanes == at.lanes && known.at.element == at.element)
      return known.value;
  return nullptr;
}

void Emitter::hold_loaded(const Place& at, Value* value) {
  note_read(at.base);
  held_[at.base].push_back({at, value});
}

void Emitter::note_read(Value* base) {
  forget_other_blocks();
  for (Held& known : held_[base])
    known.store = nullptr;
}

void Emitter::hold_stored(const Place& at, Value* value, llvm::StoreInst* store) {
  forget_other_blocks();
  std::vector<Held>& all = held_[at.base];
  std::erase_if(all, [&](const Held& known) {
    const bool same = known.at.variable == at.variable && known.at.element == at.element;
    if (same && known.at.constant == at.constant && known.at.lanes == at.lanes) {
      if (known.store != nullptr)
        known.store->eraseFromParent();
      return true;
    }
    return !same || (known.at.constant < at.constant + at.lanes &&
                     at.constant < known.at.constant + known.at.lanes);
  });
  all.push_back({at, value, store});
}

void Emitter::forget_all_of(Value* base) {
  forget_other_blocks();
  held_.erase(base);
}

Value* Emitter::splat(Value* value, int lanes) {
  if (lanes == 1)
    return value;
  return once(Pure::kSplat, value, nullptr, lanes,
              [&] { return builder_.CreateVectorSplat(static_cast<unsigned>(lanes), value); });
}

llvm::Function* Emitter::make_function(const std::string& name, llvm::Type* result,
                                       std::vector<llvm::Type*> parameters, bool exported) {
  auto* type = llvm::FunctionType::get(result, parameters, false);
  auto* function = llvm::Function::Create(
      type, exported ? llvm::Function::ExternalLinkage : llvm::Function::InternalLinkage, name,
      module_);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  if (!exported)
    function->addFnAttr(llvm::Attribute::NoInline); // keeps the noalias parameters
  if (!exported)
    function->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  return function;
}

void Emitter::describe_buffer(llvm::Argument* argument, const BufferNode& buffer,
                              int64_t alignment) {
  argument->setName(buffer.name);
  llvm::AttrBuilder attributes(context_);
  attributes.addAttribute(llvm::Attribute::NoAlias);
  attributes.addAttribute(llvm::Attribute::NonNull);
  attributes.addAttribute(llvm::Attribute::NoUndef);
  attributes.addAlignmentAttr(llvm::Align(static_cast<uint64_t>(alignment)));
  if (const auto bytes = buffer_bytes(buffer); bytes && *bytes > 0)
    attributes.addDereferenceableAttr(static_cast<uint64_t>(*bytes));
  argument->addAttrs(attributes);
}

std::optional<int64_t> Emitter::buffer_bytes(const BufferNode& buffer) {
  const auto count = buffer.element_count();
  if (!count || !buffer.strides.empty())
    return std::nullopt;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(*count, buffer.dtype.bytes(), &bytes))
    return std::nullopt;
  return bytes;
}

void Emitter::emit_kernel(const PrimFuncNode& function,
                          const std::vector<ArgumentSpec>& signature) {
  llvm::Function* entry =
      make_function(options_.entry, builder_.getInt32Ty(), {builder_.getPtrTy()}, true);
  std::vector<llvm::Type*> types;
  for (const Param& param : function.params)
    types.push_back(param.buffer ? builder_.getPtrTy() : register_type(param.var->dtype));
  llvm::Function* kernel = make_function("kernel", builder_.getInt32Ty(), types, false);

  builder_.SetInsertPoint(BasicBlock::Create(context_, "", entry));
  std::vector<Value*> values;
  for (size_t i = 0; i < function.params.size(); ++i) {
    Value* slot = builder_.CreateConstInBoundsGEP1_64(builder_.getPtrTy(), entry->getArg(0), i);
    Value* value = builder_.CreateLoad(builder_.getPtrTy(), slot);
    if (!function.params[i].buffer)
      value = load_scalar(value, function.params[i].var->dtype);
    values.push_back(value);
  }
  llvm::CallInst* call = builder_.CreateCall(kernel, values);
  call->setTailCall();
  builder_.CreateRet(call);

  for (size_t i = 0; i < function.params.size(); ++i) {
    const Param& param = function.params[i];
    llvm::Argument* argument = kernel->getArg(static_cast<unsigned>(i));
    if (param.buffer) {
      const int64_t natural = param.buffer->dtype.element_bytes();
      const int64_t alignment =
          options_.parameter_alignment > 0
              ? std::max<int64_t>(natural, std::min<int64_t>(options_.parameter_alignment,
                                                             param.buffer->alignment))
              : natural;
      describe_buffer(argument, *param.buffer, alignment);
      buffers_[param.buffer.get()] = {argument, alignment, !signature[i].is_output};
    } else {
      argument->setName(param.var->name);
      define(param.var, argument);
    }
  }
  fill_function(kernel, function.body, [&] { emit_stmt(function.body); });
}

Value* Emitter::load_scalar(Value* pointer, DataType type) {
  Value* value = builder_.CreateLoad(memory_scalar(type), pointer);
  return type.is_bool() ? builder_.CreateIsNotNull(value) : value;
}

llvm::FunctionCallee Emitter::library_function(const char* name, llvm::Type* result,
                                               std::vector<llvm::Type*> parameters) {
  return module_.getOrInsertFunction(name, llvm::FunctionType::get(result, parameters, false));
}

void Emitter::allocate_below(const Stmt& scope, std::vector<llvm::AllocaInst*>& heap) {
  std::vector<const AllocBuffer*> allocations;
  walk(scope, [&](const NodeRef& node) {
    if (const auto* loop = node.as<For>(); loop != nullptr && runs_parallel(*loop))
      return false;
    if (const auto* alloc = node.as<AllocBuffer>())
      allocations.push_back(alloc);
    return node->kind() >= kTirKinds; // expressions allocate nothing
  });
  for (const AllocBuffer* alloc : allocations) {
    const BufferNode& buffer = *alloc->buffer;
    const auto bytes = buffer_bytes(buffer);
    if (!bytes) {
      fail(ErrorCode::kUnsupported,
           "buffer '" + buffer.name + "' needs a constant size and no strides to be allocated");
      return;
    }
    const int64_t alignment = std::max(kLocalAlignment, buffer.alignment);
    if (*bytes <= kStackBufferBytes && frame_.stack_bytes + *bytes <= kStackFrameBytes) {
      llvm::IRBuilder<> at_entry(frame_.entry, frame_.entry->begin());
      auto* type = llvm::ArrayType::get(memory_scalar(buffer.dtype),
                                        static_cast<uint64_t>(*bytes) /
                                            static_cast<uint64_t>(buffer.dtype.element_bytes()));
      llvm::AllocaInst* memory = at_entry.CreateAlloca(type, nullptr, buffer.name);
      memory->setAlignment(llvm::Align(static_cast<uint64_t>(alignment)));
      frame_.stack_bytes += *bytes;
      buffers_[alloc->buffer.get()] = {memory, alignment, false};
      continue;
    }
    llvm::IRBuilder<> at_entry(frame_.entry);
    llvm::AllocaInst* slot = at_entry.CreateAlloca(builder_.getPtrTy());
    at_entry.CreateStore(llvm::ConstantPointerNull::get(builder_.getPtrTy()), slot);
    heap.push_back(slot);
    const int64_t rounded = (*bytes + alignment - 1) / alignment * alignment;
    auto allocate = library_function("aligned_alloc", builder_.getPtrTy(), {i64(), i64()});
    llvm::CallInst* memory =
        builder_.CreateCall(allocate, {const_i64(alignment), const_i64(rounded)}, buffer.name);
    memory->addRetAttr(llvm::Attribute::NoAlias);
    memory->addRetAttr(
        llvm::Attribute::getWithAlignment(context_, llvm::Align(static_cast<uint64_t>(alignment))));
    builder_.CreateStore(memory, slot);
    return_if(builder_.CreateIsNull(memory), builder_.getInt32(kKernelOutOfMemory));
    buffers_[alloc->buffer.get()] = {memory, alignment, false};
  }
}

void Emitter::return_if(Value* condition, Value* code) {
  BasicBlock* leave = new_block("leave");
  BasicBlock* next = new_block("");
  builder_.CreateCondBr(condition, leave, next,
                        llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
  builder_.SetInsertPoint(leave);
  builder_.CreateStore(code, frame_.code);
  builder_.CreateBr(frame_.exit);
  builder_.SetInsertPoint(next);
}

void Emitter::define(const Var& var, Value* value, Interval range, int64_t divisor) {
  Known known;
  known.value = value;
  known.range = range;
  known.divisor = divisor;
  known.depth = static_cast<int>(frame_.loops.size());
  vars_[var.get()] = known;
}

} // namespace emitter

namespace {

using namespace ::temper::tir; // NOLINT: this file is about tir

/// The shape that `temper.param_shapes` keeps for parameter i of a flattened function.
std::optional<std::vector<int64_t>> original_shape(const PrimFuncNode& function, size_t i) {
  const Expr all = function.attrs.get("temper.param_shapes");
  const auto* list = all.as<ListImm>();
  if (list == nullptr || i >= list->values.size())
    return std::nullopt;
  const auto* one = list->values[i].as<ListImm>();
  if (one == nullptr)
    return std::nullopt;
  std::vector<int64_t> shape;
  for (const Expr& extent : one->values)
    shape.push_back(as_int(extent).value_or(0));
  return shape;
}

} // namespace

Result<std::vector<ArgumentSpec>> signature_of(const PrimFunc& function) {
  if (!function->shape_vars.empty())
    return Error(ErrorCode::kUnsupported,
                 "function '" + function->name + "' has the symbolic size '" +
                     function->shape_vars[0]->name + "'; bind it to a number before compiling");
  std::unordered_set<const BufferNode*> written;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* store = node.as<BufferStore>())
      written.insert(store->buffer.get());
    else if (node.is<Evaluate>())
      if (const Call* atomic = as_atomic(cast_ref<StmtNode>(node)))
        written.insert(atomic->args[0].as<BufferLoad>()->buffer.get());
    return node->kind() >= kTirKinds;
  });
  const Expr outputs = function->attrs.get("temper.outputs");
  const auto* output_list = outputs.as<ListImm>();
  std::vector<ArgumentSpec> signature;
  for (size_t i = 0; i < function->params.size(); ++i) {
    const Param& param = function->params[i];
    ArgumentSpec spec;
    spec.name = param.name();
    if (!param.buffer) {
      spec.dtype = param.var->dtype;
      spec.is_buffer = false;
      if (!spec.dtype.is_scalar() || spec.dtype.is_handle())
        return Error(ErrorCode::kUnsupported,
                     "parameter '" + spec.name + "' of type " + to_string(spec.dtype) +
                         " cannot be passed to a kernel; pass a buffer or a number");
      signature.push_back(std::move(spec));
      continue;
    }
    spec.dtype = param.buffer->dtype;
    spec.is_output = written.contains(param.buffer.get());
    if (output_list != nullptr)
      for (const Expr& position : output_list->values)
        spec.is_output = spec.is_output || is_int(position, static_cast<int64_t>(i));
    if (auto shape = original_shape(*function, i)) {
      spec.shape = *std::move(shape);
    } else {
      for (const Expr& extent : param.buffer->shape) {
        const auto value = as_int(extent);
        if (!value)
          return Error(ErrorCode::kUnsupported, "parameter '" + spec.name +
                                                    "' has a symbolic shape; bind its sizes to "
                                                    "numbers before compiling");
        spec.shape.push_back(*value);
      }
    }
    signature.push_back(std::move(spec));
  }
  return signature;
}

Result<Emitted> emit_function(const PrimFunc& function, const EmitOptions& options,
                              llvm::Module& module) {
  Result<Emitted> emitted = emitter::Emitter(options, module).run(*function);
  amx_configure(module);
  return emitted;
}

} // namespace temper::codegen
