#include "codegen/llvm/stubs.h"

#include "codegen/assertions.h"
#include "codegen/llvm/compile.h"
#include "codegen/llvm/facts.h"
#include "codegen/llvm/machine.h"
#include "codegen/tensor_map.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include <algorithm>

namespace temper::codegen {
namespace {

constexpr const char* kFeatureBits[] = {
#define TEMPER_CPU_FEATURE(name, word, bit, state) name,
#include "codegen/library/runtime/cpu_features.def"
#undef TEMPER_CPU_FEATURE
};

class StubWriter {
public:
  StubWriter(llvm::Module& module) : module_(module), b_(module.getContext()) {
    llvm::LLVMContext& context = module.getContext();
    pointer_ = b_.getPtrTy();
    i32_ = b_.getInt32Ty();
    i64_ = b_.getInt64Ty();
    // temper_argument and temper_function of codegen/library/runtime/runtime.h
    argument_ = llvm::StructType::create(context,
                                         {pointer_, pointer_, pointer_, i32_, i32_, b_.getInt8Ty(),
                                          b_.getInt8Ty(), b_.getInt8Ty(), b_.getInt8Ty()},
                                         "temper_argument");
    function_ = llvm::StructType::create(context,
                                         {pointer_, pointer_, pointer_, pointer_, pointer_,
                                          pointer_, i64_, i32_, i32_, pointer_, pointer_},
                                         "temper_function");
    const auto array = [](llvm::Type* of, unsigned count) {
      return llvm::ArrayType::get(of, count);
    };
    map_ = llvm::StructType::create(
        context, {i32_, i32_, i32_, i32_, array(i64_, 5), array(i64_, 5), array(i32_, 6)},
        "temper_tensor_map");
    gpu_kernel_ = llvm::StructType::create(
        context, {pointer_, array(i32_, 3), array(i32_, 3), array(i32_, 3), i32_, i32_, pointer_},
        "temper_gpu_kernel");
    gpu_ = llvm::StructType::create(
        context, {pointer_, pointer_, pointer_, pointer_, i32_, i32_, pointer_}, "temper_gpu");
  }

  void write(const StubFunction& stub) {
    llvm::Constant* table = make_table(stub);
    write_typed_entry(stub, table);
    write_ffi_entry(stub, table);
    write_string_entry("__tvm_ffi__metadata_" + stub.name, stub.metadata);
    write_string_entry("__tvm_ffi__doc_" + stub.name, stub.doc);
  }

  void write_last_error(const std::string& library) {
    start(library + "_last_error", pointer_, {});
    b_.CreateRet(b_.CreateCall(runtime("temper_rt_last_error", pointer_, {})));
  }

private:
  llvm::Constant* text(const std::string& value) {
    return b_.CreateGlobalStringPtr(value, "", 0, &module_);
  }
  llvm::Constant* constant(llvm::Constant* value) {
    auto* global = new llvm::GlobalVariable(module_, value->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, value);
    return global;
  }
  llvm::FunctionCallee runtime(const char* name, llvm::Type* result,
                               std::vector<llvm::Type*> parameters) {
    auto callee =
        module_.getOrInsertFunction(name, llvm::FunctionType::get(result, parameters, false));
    llvm::cast<llvm::Function>(callee.getCallee())
        ->setVisibility(llvm::GlobalValue::HiddenVisibility);
    return callee;
  }
  llvm::Function* start(const std::string& name, llvm::Type* result,
                        std::vector<llvm::Type*> parameters) {
    auto* function = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false),
                                            llvm::Function::ExternalLinkage, name, module_);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "", function));
    return function;
  }

  llvm::Constant* make_table(const StubFunction& stub) {
    std::vector<llvm::Constant*> rows;
    for (const ArgumentSpec& argument : stub.arguments) {
      std::vector<llvm::Constant*> extents;
      for (const int64_t extent : argument.shape)
        extents.push_back(b_.getInt64(static_cast<uint64_t>(extent)));
      const int natural = std::max(1, argument.dtype.element_bytes());
      const auto small = [&](int value) { return b_.getInt8(static_cast<uint8_t>(value)); };
      rows.push_back(llvm::ConstantStruct::get(
          argument_,
          {text(argument.name), text(to_string(argument.dtype)),
           constant(llvm::ConstantArray::get(llvm::ArrayType::get(i64_, extents.size()), extents)),
           b_.getInt32(static_cast<uint32_t>(extents.size())),
           b_.getInt32(static_cast<uint32_t>(std::max(natural, stub.alignment))),
           small(dlpack_code(argument.dtype)), small(argument.dtype.element_bytes() * 8),
           small(argument.is_buffer), small(argument.is_output)}));
    }
    llvm::Constant* kernel = llvm::ConstantPointerNull::get(b_.getPtrTy());
    llvm::Constant* gpu = kernel;
    llvm::Constant* assertions = kernel;
    if (stub.cubin.empty()) {
      auto* function = llvm::cast<llvm::Function>(
          module_.getOrInsertFunction(stub.kernel, llvm::FunctionType::get(i32_, {pointer_}, false))
              .getCallee());
      function->setVisibility(llvm::GlobalValue::HiddenVisibility);
      kernel = function;
      // Weak: there is none where the kernel asserts nothing.
      auto* words = new llvm::GlobalVariable(module_, b_.getInt8Ty(), true,
                                             llvm::GlobalValue::ExternalWeakLinkage, nullptr,
                                             assertions_symbol(stub.kernel));
      words->setVisibility(llvm::GlobalValue::HiddenVisibility);
      assertions = words;
    } else {
      gpu = make_gpu(stub);
    }
    auto* array = llvm::ConstantArray::get(llvm::ArrayType::get(argument_, rows.size()), rows);
    return constant(llvm::ConstantStruct::get(
        function_, {text(stub.signature), text(stub.metadata), text(stub.doc), text(stub.target),
                    kernel, constant(array), b_.getInt64(stub.features),
                    b_.getInt32(static_cast<uint32_t>(rows.size())),
                    b_.getInt32(static_cast<uint32_t>(stub.extents)), gpu, assertions}));
  }

  llvm::Constant* int32(int64_t value) { return b_.getInt32(static_cast<uint32_t>(value)); }
  /// The values, and zeros up to `count`.
  llvm::Constant* row(llvm::IntegerType* of, const std::vector<int64_t>& values, unsigned count) {
    std::vector<llvm::Constant*> list;
    for (const int64_t value : values)
      list.push_back(llvm::ConstantInt::get(of, static_cast<uint64_t>(value)));
    list.resize(count, llvm::ConstantInt::get(of, 0));
    return llvm::ConstantArray::get(llvm::ArrayType::get(of, count), list);
  }
  llvm::Constant* list(llvm::StructType* of, const std::vector<llvm::Constant*>& rows) {
    return constant(llvm::ConstantArray::get(llvm::ArrayType::get(of, rows.size()), rows));
  }

  llvm::Constant* make_gpu(const StubFunction& stub) {
    std::vector<llvm::Constant*> kernels;
    for (const CudaKernel& kernel : stub.launch.kernels) {
      std::vector<llvm::Constant*> maps;
      for (const TensorMap& map : kernel.tensor_maps)
        maps.push_back(llvm::ConstantStruct::get(
            map_, {int32(map.argument), int32(tensor_map_type(map.dtype)),
                   int32(static_cast<int64_t>(map.shape.size())),
                   int32(tensor_map_swizzle(map.swizzle_bytes)), row(b_.getInt64Ty(), map.shape, 5),
                   row(b_.getInt64Ty(), map.strides_bytes, 5), row(b_.getInt32Ty(), map.box, 6)}));
      kernels.push_back(llvm::ConstantStruct::get(
          gpu_kernel_, {text(kernel.name), row(b_.getInt32Ty(), kernel.grid, 3),
                        row(b_.getInt32Ty(), kernel.block, 3),
                        row(b_.getInt32Ty(), kernel.cluster, 3), int32(kernel.shared_bytes),
                        int32(static_cast<int64_t>(maps.size())), list(map_, maps)}));
    }
    auto* loaded_type = llvm::ArrayType::get(pointer_, kernels.size());
    auto* loaded =
        new llvm::GlobalVariable(module_, loaded_type, false, llvm::GlobalValue::PrivateLinkage,
                                 llvm::ConstantAggregateZero::get(loaded_type));
    auto* cubin = llvm::cast<llvm::GlobalVariable>(constant(
        llvm::ConstantDataArray::getString(module_.getContext(), stub.cubin, /*AddNull=*/false)));
    cubin->setAlignment(llvm::Align(64));
    const std::vector<int64_t>& workspaces = stub.launch.workspaces;
    return constant(llvm::ConstantStruct::get(
        gpu_, {cubin, text(stub.ptx), list(gpu_kernel_, kernels),
               constant(row(b_.getInt64Ty(), workspaces, static_cast<unsigned>(workspaces.size()))),
               int32(static_cast<int64_t>(kernels.size())),
               int32(static_cast<int64_t>(workspaces.size())), loaded}));
  }

  /// The C type that a scalar is passed as: float16 and bfloat16 as their bits, bool as _Bool.
  llvm::Type* scalar_type(DataType type) {
    if (type.is_floating() && type.bits > 16)
      return type.bits == 32 ? b_.getFloatTy() : b_.getDoubleTy();
    return type.is_bool() ? b_.getInt8Ty() : b_.getIntNTy(type.bits);
  }

  void write_typed_entry(const StubFunction& stub, llvm::Constant* table) {
    std::vector<llvm::Type*> types;
    for (const ArgumentSpec& argument : stub.arguments)
      types.push_back(argument.is_buffer ? pointer_ : scalar_type(argument.dtype));
    std::vector<llvm::Type*> parameters = types;
    if (!stub.cubin.empty())
      parameters.push_back(pointer_); // the stream
    llvm::Function* function = start(stub.name, i32_, parameters);
    auto* list_type = llvm::ArrayType::get(pointer_, types.size());
    llvm::Value* list = b_.CreateAlloca(list_type);
    for (unsigned i = 0; i < types.size(); ++i) {
      llvm::Value* value = function->getArg(i);
      if (!stub.arguments[i].is_buffer) {
        // Narrow integers come with what the caller's register held above them.
        llvm::Value* slot = b_.CreateAlloca(types[i]);
        b_.CreateStore(value, slot);
        value = slot;
      }
      b_.CreateStore(value, b_.CreateConstInBoundsGEP2_64(list_type, list, 0, i));
    }
    if (stub.cubin.empty())
      b_.CreateRet(
          b_.CreateCall(runtime("temper_rt_call", i32_, {pointer_, pointer_}), {table, list}));
    else
      b_.CreateRet(
          b_.CreateCall(runtime("temper_rt_call_gpu", i32_, {pointer_, pointer_, pointer_}),
                        {table, list, function->getArg(static_cast<unsigned>(types.size()))}));
  }

  void write_ffi_entry(const StubFunction& stub, llvm::Constant* table) {
    llvm::Function* function =
        start("__tvm_ffi_" + stub.name, i32_, {pointer_, pointer_, i32_, pointer_});
    b_.CreateRet(b_.CreateCall(runtime("temper_rt_call_ffi", i32_, {pointer_, pointer_, i32_}),
                               {table, function->getArg(1), function->getArg(2)}));
  }

  void write_string_entry(const std::string& name, const std::string& value) {
    llvm::Function* function = start(name, i32_, {pointer_, pointer_, i32_, pointer_});
    b_.CreateRet(b_.CreateCall(runtime("temper_rt_string", i32_, {pointer_, pointer_}),
                               {text(value), function->getArg(3)}));
  }

  llvm::Module& module_;
  llvm::IRBuilder<> b_;
  llvm::Type* pointer_;
  llvm::Type* i32_;
  llvm::Type* i64_;
  llvm::StructType* argument_;
  llvm::StructType* function_;
  llvm::StructType* map_;
  llvm::StructType* gpu_kernel_;
  llvm::StructType* gpu_;
};

} // namespace

uint8_t dlpack_code(DataType type) {
  switch (type.code) {
  case TypeCode::kInt:
    return 0;
  case TypeCode::kUInt:
    return 1;
  case TypeCode::kFloat:
    return 2;
  case TypeCode::kHandle:
    return 3;
  case TypeCode::kBFloat:
    return 4;
  case TypeCode::kBool:
    return 6;
  }
  TEMPER_UNREACHABLE("every type code is in DLPack");
}

Result<uint64_t> feature_mask(const std::string& text) {
  TEMPER_TRY(target, ir::parse_target(text));
  TEMPER_TRY(features, required_features(target));
  if (std::binary_search(features.begin(), features.end(), "neon"))
    return Error(ErrorCode::kUnsupported,
                 "libraries are made for x86-64, and " + text +
                     " is of AArch64: take its object or assembly (temper-opt --print asm)");
  uint64_t mask = 0;
  for (size_t i = 0; i < std::size(kFeatureBits); ++i)
    if (std::binary_search(features.begin(), features.end(), kFeatureBits[i]))
      mask |= uint64_t{1} << i;
  return mask;
}

Result<std::string> emit_stubs(const std::string& library,
                               const std::vector<StubFunction>& functions) {
  ir::Target target;
  target.arch = "x86-64";
  TEMPER_TRY(machine, target_machine(target));
  llvm::LLVMContext context;
  llvm::Module module("temper", context);
  module.setTargetTriple(machine->getTargetTriple().str());
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  StubWriter writer(module);
  for (const StubFunction& function : functions)
    writer.write(function);
  writer.write_last_error(library);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (!emit_machine_code(*machine, module, stream, false, nullptr))
    return Error(ErrorCode::kFailed, "LLVM cannot emit code for x86-64");
  return std::string(bytes.data(), bytes.size());
}

} // namespace temper::codegen
