#include "codegen/llvm/math.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <string>
#include <vector>

namespace temper::codegen {
namespace {

using llvm::Value;

class Math {
public:
  Math(llvm::IRBuilderBase& builder, const MathTarget& target)
      : b_(builder), target_(target) {}

  /// Calls libm's function for each lane.
  Value* call_libm(std::string_view name, std::span<Value* const> args) {
    llvm::Type* type = args[0]->getType();
    llvm::Type* scalar = type->getScalarType();
    std::string symbol(name);
    if (scalar->isFloatTy())
      symbol += 'f';
    std::vector<llvm::Type*> parameters(args.size(), scalar);
    llvm::Module* module = b_.GetInsertBlock()->getModule();
    auto callee = module->getOrInsertFunction(
        symbol, llvm::FunctionType::get(scalar, parameters, false));
    if (auto* function = llvm::dyn_cast<llvm::Function>(callee.getCallee())) {
      function->addFnAttr(llvm::Attribute::NoUnwind);
      function->addFnAttr(llvm::Attribute::WillReturn);
      function->setDoesNotAccessMemory(); // errno is nobody's here
    }
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    if (vector == nullptr)
      return b_.CreateCall(callee, llvm::ArrayRef(args.data(), args.size()));
    Value* result = llvm::PoisonValue::get(type);
    for (unsigned lane = 0; lane < vector->getNumElements(); ++lane) {
      std::vector<Value*> lanes;
      for (Value* arg : args)
        lanes.push_back(b_.CreateExtractElement(arg, lane));
      result = b_.CreateInsertElement(result, b_.CreateCall(callee, lanes), lane);
    }
    return result;
  }

  llvm::IRBuilderBase& b_;
  const MathTarget& target_;
};

} // namespace

Value* emit_math(llvm::IRBuilderBase& builder, const MathTarget& target, std::string_view name,
                 std::span<Value* const> args) {
  Math math(builder, target);
  Value* x = args[0];
  llvm::Type* type = x->getType();
  const auto constant = [&](double value) { return llvm::ConstantFP::get(type, value); };
  if (name == "rsqrt")
    return builder.CreateFDiv(constant(1),
                              builder.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x));
  if (name == "sigmoid") {
    Value* e = math.call_libm("exp", std::vector<Value*>{builder.CreateFNeg(x)});
    return builder.CreateFDiv(constant(1), builder.CreateFAdd(constant(1), e));
  }
  return math.call_libm(name, args);
}

} // namespace temper::codegen
