// Statements: sequences, branches, loops one after another and side by side.
#include "codegen/llvm/emitter.h"

namespace temper::codegen::emitter {

void Emitter::emit_stmt(const Stmt& stmt) {
  if (error_ || terminated())
    return;
  if (stmt->kind() < kTirKinds || stmt->kind() >= kSTirKinds)
    return fail(ErrorCode::kUnsupported,
                "the function still has blocks; lower it to tir before compiling");
  visit(
      stmt,
      [&](const Bind& node) {
        define(node.var, emit(node.value), range_of(node.value), divisor_of(node.value));
        if (node.var->dtype.is_integral() && node.var->dtype.is_scalar())
          vars_[node.var.get()].wide = widen_integer(vars_[node.var.get()].value, node.var->dtype);
      },
      [&](const AllocBuffer&) {}, [&](const BufferStore& node) { emit_store(node); },
      [&](const Evaluate& node) { emit(node.value); },
      [&](const SeqStmt& node) { emit_sequence(node); },
      [&](const IfThenElse& node) { emit_if(node); }, [&](const For& node) { emit_for(node); },
      [&](const While& node) { emit_while(node); },
      [&](const Break&) {
        if (frame_.loops.empty())
          return fail(ErrorCode::kInvalidArgument,
                      "break outside a loop (or out of a parallel loop)");
        builder_.CreateBr(frame_.loops.back().on_break);
      },
      [&](const Continue&) {
        if (frame_.loops.empty())
          return fail(ErrorCode::kInvalidArgument, "continue outside a loop");
        builder_.CreateBr(frame_.loops.back().on_continue);
      },
      [&](const Return& node) { emit_return(node); },
      [&](const Assert& node) {
        const int number = assert_number(node);
        return_if(builder_.CreateNot(emit(node.condition)),
                  builder_.getInt32(static_cast<uint32_t>(kKernelAssert + number)));
      });
}

void Emitter::emit_assertions() {
  if (asserts_.empty())
    return;
  std::vector<const Assert*> in_order(asserts_.size());
  for (const auto& [node, number] : asserts_)
    in_order[static_cast<size_t>(number)] = node;
  std::string text;
  for (size_t i = 0; i < in_order.size(); ++i) {
    std::string message = in_order[i]->message;
    std::replace(message.begin(), message.end(), '\n', ' ');
    text += std::to_string(kKernelAssert + static_cast<int>(i)) + "\t" +
            std::to_string(in_order[i]->span.line) + "\t" + message + "\n";
  }
  llvm::Constant* bytes = llvm::ConstantDataArray::getString(context_, text);
  new llvm::GlobalVariable(module_, bytes->getType(), true, llvm::GlobalValue::ExternalLinkage,
                           bytes, assertions_symbol(options_.entry));
}

int Emitter::assert_number(const Assert& node) {
  // A statement occurs once, but a serial copy of a parallel loop must not count twice.
  const auto [place, added] = asserts_.emplace(&node, static_cast<int>(asserts_.size()));
  return place->second;
}

void Emitter::emit_sequence(const SeqStmt& node) {
  std::vector<llvm::AllocaInst*> live;
  for (size_t i = 0; i < node.statements.size(); ++i) {
    const Stmt& stmt = node.statements[i];
    if (const Call* product = as_amx(stmt)) {
      std::vector<const Call*> products{product};
      while (i + 1 < node.statements.size() && as_amx(node.statements[i + 1]) != nullptr &&
             goes_on(*product, *as_amx(node.statements[i + 1])))
        products.push_back(as_amx(node.statements[++i]));
      emit_amx(products);
      continue;
    }
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      if (auto* memory =
              llvm::dyn_cast_or_null<llvm::AllocaInst>(buffers_[alloc->buffer.get()].pointer)) {
        builder_.CreateLifetimeStart(memory, builder_.getInt64(stack_size(memory)));
        live.push_back(memory);
      }
      continue;
    }
    emit_stmt(stmt);
    if (terminated())
      return; // nothing after a jump is reached, and its blocks need no lifetime's end
  }
  for (llvm::AllocaInst* memory : live)
    builder_.CreateLifetimeEnd(memory, builder_.getInt64(stack_size(memory)));
}

void Emitter::emit_if(const IfThenElse& node) {
  Value* test = emit(node.condition);
  BasicBlock* on_true = new_block("then");
  BasicBlock* on_false = node.else_case ? new_block("else") : nullptr;
  BasicBlock* join = new_block("");
  builder_.CreateCondBr(test, on_true, on_false != nullptr ? on_false : join);
  builder_.SetInsertPoint(on_true);
  emit_stmt(node.then_case);
  if (!terminated())
    builder_.CreateBr(join);
  if (on_false != nullptr) {
    builder_.SetInsertPoint(on_false);
    emit_stmt(node.else_case);
    if (!terminated())
      builder_.CreateBr(join);
  }
  builder_.SetInsertPoint(join);
  if (llvm::pred_empty(join))
    builder_.CreateUnreachable();
}

void Emitter::emit_return(const Return& node) {
  if (in_parallel_ && (!node.value || is_int(node.value, 0)))
    return fail(ErrorCode::kUnsupported, "return out of a parallel loop needs a code that is "
                                         "not 0, since other iterations go on");
  Value* code = builder_.getInt32(0);
  if (node.value) {
    if (!node.value->dtype.is_scalar() || node.value->dtype.is_floating())
      return fail(ErrorCode::kInvalidArgument, "a kernel returns an integer code");
    code = convert(emit(node.value), node.value->dtype, DataType::int32());
  }
  builder_.CreateStore(code, frame_.code);
  builder_.CreateBr(frame_.exit);
}

void Emitter::emit_while(const While& node) {
  BasicBlock* test = new_block("while");
  BasicBlock* body = new_block("body");
  BasicBlock* after = new_block("after");
  builder_.CreateBr(test);
  builder_.SetInsertPoint(test);
  builder_.CreateCondBr(emit(node.condition), body, after);
  frame_.loops.push_back({after, test});
  builder_.SetInsertPoint(body);
  emit_stmt(node.body);
  if (!terminated())
    builder_.CreateBr(test);
  frame_.loops.pop_back();
  builder_.SetInsertPoint(after);
}

bool Emitter::has_jump(const Stmt& body) {
  bool found = false;
  walk(body, [&](const NodeRef& node) {
    found = found || node.is<Break>() || node.is<Continue>();
    // Jumps of inner loops are theirs.
    return !found && node->kind() >= kTirKinds && !node.is<For>() && !node.is<While>();
  });
  return found;
}

void Emitter::emit_for(const For& node) {
  if (node.kind == ForKind::kThreadBinding)
    return fail(ErrorCode::kUnsupported, "the loop over '" + node.loop_var->name +
                                             "' is bound to " + node.thread +
                                             ", which only a GPU has");
  if (runs_parallel(node))
    return emit_parallel(node);
  Interval range;
  {
    const Interval low = range_of(node.min);
    const Interval extent = range_of(node.extent);
    range = loop_range(low, extent);
  }
  emit_loop(node, emit_index(node.min), emit_index(node.extent), as_int(node.extent), range);
}

Interval Emitter::loop_range(Interval low, Interval extent) {
  const __int128 high = __int128{low.high} + extent.high - 1;
  return {low.low, high >= kUnbounded ? kUnbounded : static_cast<int64_t>(high)};
}

void Emitter::emit_loop(const For& node, Value* low, Value* extent,
                        std::optional<int64_t> constant_extent, Interval range) {
  if (constant_extent && *constant_extent <= 0)
    return;
  const auto bind = [&](Value* counter, int64_t divisor) {
    const DataType type = node.loop_var->dtype;
    Value* value = type.bits == 64 ? counter
                                   : builder_.CreateTrunc(counter, register_type(type), "", false,
                                                          type.is_int());
    define(node.loop_var, value, range, divisor);
    vars_[node.loop_var.get()].wide = counter;
  };
  if (constant_extent && *constant_extent == 1 && !has_jump(node.body)) {
    bind(low, divisor_of(node.min));
    emit_stmt(node.body);
    return;
  }
  BasicBlock* body = new_block("loop");
  BasicBlock* next = new_block("next");
  BasicBlock* after = new_block("after");
  Value* end = builder_.CreateNSWAdd(low, extent);
  BasicBlock* before = builder_.GetInsertBlock();
  if (constant_extent)
    builder_.CreateBr(body);
  else
    builder_.CreateCondBr(builder_.CreateICmpSGT(extent, const_i64(0)), body, after);

  builder_.SetInsertPoint(body);
  llvm::PHINode* counter = builder_.CreatePHI(builder_.getInt64Ty(), 2, node.loop_var->name);
  counter->addIncoming(low, before);
  frame_.loops.push_back({after, next});
  bind(counter, 1);
  emit_stmt(node.body);
  if (!terminated())
    builder_.CreateBr(next);
  frame_.loops.pop_back();

  next->moveAfter(&frame_.function->back());
  builder_.SetInsertPoint(next);
  if (llvm::pred_empty(next)) {
    // The body always leaves: no second iteration.
    counter->addIncoming(llvm::PoisonValue::get(counter->getType()), next);
    builder_.CreateBr(body);
  } else {
    Value* following = builder_.CreateAdd(counter, const_i64(1), "", range.low >= 0, true);
    llvm::Instruction* back =
        builder_.CreateCondBr(builder_.CreateICmpSLT(following, end), body, after);
    back->setMetadata(llvm::LLVMContext::MD_loop, loop_metadata(node));
    counter->addIncoming(following, next);
  }
  after->moveAfter(&frame_.function->back());
  builder_.SetInsertPoint(after);
  if (llvm::pred_empty(after))
    builder_.CreateUnreachable();
}

llvm::MDNode* Emitter::loop_metadata(const For& node) {
  std::vector<llvm::Metadata*> parts{nullptr};
  const auto flag = [&](const char* name) {
    parts.push_back(llvm::MDNode::get(context_, llvm::MDString::get(context_, name)));
  };
  flag("llvm.loop.mustprogress");
  if (node.annotations.get_int("temper.unroll") == 0)
    flag("llvm.loop.unroll.disable");
  if (node.kind == ForKind::kUnrolled)
    flag("llvm.loop.unroll.full");
  if (node.kind == ForKind::kVectorized)
    parts.push_back(
        llvm::MDNode::get(context_, {llvm::MDString::get(context_, "llvm.loop.vectorize.enable"),
                                     llvm::ConstantAsMetadata::get(builder_.getTrue())}));
  llvm::MDNode* loop = llvm::MDNode::getDistinct(context_, parts);
  loop->replaceOperandWith(0, loop);
  return loop;
}

void Emitter::emit_parallel(const For& node) {
  // What the body uses of what is defined outside, in order of first use (never of addresses).
  std::vector<const VarNode*> used_vars;
  std::vector<const BufferNode*> used_buffers;
  std::unordered_set<const void*> seen;
  walk(node.body, [&](const NodeRef& inner) {
    if (!seen.insert(inner.get()).second)
      return false;
    if (const auto* var = inner.as<VarNode>(); var != nullptr && vars_.contains(var))
      used_vars.push_back(var);
    else if (const auto* buffer = inner.as<BufferNode>();
             buffer != nullptr && buffers_.contains(buffer))
      used_buffers.push_back(buffer);
    return true;
  });
  std::vector<Value*> captured;
  for (const BufferNode* buffer : used_buffers)
    captured.push_back(buffers_[buffer].pointer);
  for (const VarNode* var : used_vars)
    captured.push_back(vars_[var].value);

  const std::string name = "parallel." + std::to_string(parallel_loops_++);
  // { first, extent, code, captured values }
  std::vector<llvm::Type*> fields{i64(), i64(), builder_.getInt32Ty()};
  std::vector<llvm::Type*> body_types{i64(), i64()};
  for (Value* value : captured) {
    fields.push_back(value->getType());
    body_types.push_back(value->getType());
  }
  auto* data_type = llvm::StructType::get(context_, fields);
  Value* low = emit_index(node.min);
  Value* extent = emit_index(node.extent);

  llvm::IRBuilder<> at_entry(frame_.entry, frame_.entry->begin());
  llvm::AllocaInst* data = at_entry.CreateAlloca(data_type, nullptr, "shared");
  const auto field = [&](Value* base, unsigned index) {
    return builder_.CreateStructGEP(data_type, base, index);
  };
  builder_.CreateStore(low, field(data, 0));
  builder_.CreateStore(extent, field(data, 1));
  builder_.CreateStore(builder_.getInt32(0), field(data, 2));
  for (size_t i = 0; i < captured.size(); ++i)
    builder_.CreateStore(captured[i], field(data, static_cast<unsigned>(i) + 3));

  llvm::Function* run = make_function(name, builder_.getVoidTy(), {builder_.getPtrTy()}, false);
  llvm::Function* body = make_function(name + ".body", builder_.getInt32Ty(), body_types, false);

  // More threads than iterations would only wait; 0 leaves the number to the runtime.
  Value* threads = builder_.getInt32(static_cast<uint32_t>(options_.threads));
  if (const auto count = as_int(node.extent); count && options_.threads > 0)
    threads =
        builder_.getInt32(static_cast<uint32_t>(std::clamp<int64_t>(*count, 1, options_.threads)));
  auto launch = library_function(
      "GOMP_parallel", builder_.getVoidTy(),
      {builder_.getPtrTy(), builder_.getPtrTy(), builder_.getInt32Ty(), builder_.getInt32Ty()});
  builder_.CreateCall(launch, {run, data, threads, builder_.getInt32(0)});
  Value* code = builder_.CreateLoad(builder_.getInt32Ty(), field(data, 2));
  return_if(builder_.CreateIsNotNull(code), code);

  const auto saved_point = builder_.saveIP();
  emit_chunk_of_thread(run, body, data_type, captured.size());

  // The body sees the captured values as its parameters.
  auto saved_vars = vars_;
  auto saved_buffers = buffers_;
  Frame saved_frame = std::move(frame_);
  frame_ = Frame();
  unsigned position = 2;
  for (const BufferNode* buffer : used_buffers) {
    Memory& memory = buffers_[buffer];
    describe_buffer(body->getArg(position), *buffer, memory.alignment);
    memory.pointer = body->getArg(position++);
  }
  for (const VarNode* var : used_vars) {
    Known& known = vars_[var];
    known.value = body->getArg(position++);
    known.value->setName(var->name);
    known.wide = nullptr;
    known.depth = 0;
  }
  in_parallel_ = true;
  fill_function(body, node.body, [&] {
    Value* begin = body->getArg(0);
    Value* count = builder_.CreateNSWSub(body->getArg(1), begin);
    const Interval first = range_of(node.min);
    const Interval size = range_of(node.extent);
    // What belongs to an iteration is allocated once per thread: fill_function sees to it.
    emit_loop(node, begin, count, std::nullopt, loop_range(first, size));
  });
  in_parallel_ = false;
  frame_ = std::move(saved_frame);
  vars_ = std::move(saved_vars);
  buffers_ = std::move(saved_buffers);
  builder_.restoreIP(saved_point);
}

void Emitter::emit_chunk_of_thread(llvm::Function* run, llvm::Function* body,
                                   llvm::StructType* data_type, size_t captured) {
  BasicBlock* start = BasicBlock::Create(context_, "", run);
  BasicBlock* work = BasicBlock::Create(context_, "work", run);
  BasicBlock* failed = BasicBlock::Create(context_, "failed", run);
  BasicBlock* done = BasicBlock::Create(context_, "done", run);
  builder_.SetInsertPoint(start);
  Value* data = run->getArg(0);
  const auto load = [&](unsigned index) {
    return builder_.CreateLoad(data_type->getElementType(index),
                               builder_.CreateStructGEP(data_type, data, index));
  };
  const auto ask = [&](const char* question) {
    return builder_.CreateSExt(
        builder_.CreateCall(library_function(question, builder_.getInt32Ty(), {})), i64());
  };
  Value* thread = ask("omp_get_thread_num");
  Value* threads = ask("omp_get_num_threads");
  Value* first = load(0);
  Value* extent = load(1);
  Value* share = builder_.CreateSDiv(extent, threads);
  Value* rest = builder_.CreateSRem(extent, threads);
  Value* begin =
      builder_.CreateAdd(builder_.CreateMul(thread, share),
                         builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, thread, rest));
  Value* count =
      builder_.CreateAdd(share, builder_.CreateZExt(builder_.CreateICmpSLT(thread, rest), i64()));
  begin = builder_.CreateAdd(first, begin);
  builder_.CreateCondBr(builder_.CreateICmpSGT(count, const_i64(0)), work, done);

  builder_.SetInsertPoint(work);
  std::vector<Value*> args{begin, builder_.CreateAdd(begin, count)};
  for (size_t i = 0; i < captured; ++i)
    args.push_back(load(static_cast<unsigned>(i) + 3));
  Value* code = builder_.CreateCall(body, args);
  builder_.CreateCondBr(builder_.CreateIsNotNull(code), failed, done);

  builder_.SetInsertPoint(failed);
  builder_.CreateStore(code, builder_.CreateStructGEP(data_type, data, 2))
      ->setAtomic(llvm::AtomicOrdering::Monotonic);
  builder_.CreateBr(done);
  builder_.SetInsertPoint(done);
  builder_.CreateRetVoid();
}

} // namespace temper::codegen::emitter
