#include "codegen/llvm/amx.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <array>
#include <string>

namespace temper::codegen {
namespace {

using llvm::Value;

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64; ///< of a row

llvm::Intrinsic::ID instruction_for(DataType a, DataType b) {
  const auto is_byte = [](DataType type) { return type.is_integral() && type.bits == 8; };
  if (a == DataType::bfloat16() && b == a)
    return llvm::Intrinsic::x86_tdpbf16ps;
  if (!is_byte(a) || !is_byte(b))
    return llvm::Intrinsic::not_intrinsic;
  if (a.is_uint())
    return b.is_uint() ? llvm::Intrinsic::x86_tdpbuud : llvm::Intrinsic::x86_tdpbusd;
  return b.is_uint() ? llvm::Intrinsic::x86_tdpbsud : llvm::Intrinsic::x86_tdpbssd;
}

class Maker {
public:
  Maker(llvm::Module& module, llvm::Intrinsic::ID multiply, int rows)
      : module_(module), builder_(module.getContext()), multiply_(multiply),
        rows_(rows / kTileRows) {}

  llvm::Function* make(const std::string& name) {
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::Type* word = builder_.getInt64Ty();
    auto* type = llvm::FunctionType::get(
        builder_.getVoidTy(), {pointer, word, pointer, word, pointer, word, word}, false);
    function_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr(llvm::Attribute::NoInline);
    Value* c = function_->getArg(0);
    Value* c_stride = function_->getArg(1);
    Value* a_stride = function_->getArg(3);
    Value* b_stride = function_->getArg(5);

    builder_.SetInsertPoint(block(""));
    ask_for_leave();
    configure();
    each_sum(
        [&](int tile, int row, int column) { load(tile, at(c, c_stride, row, column), c_stride); });
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    llvm::BasicBlock* loop = block("loop");
    llvm::BasicBlock* after = block("after");
    builder_.CreateBr(loop);

    builder_.SetInsertPoint(loop);
    llvm::PHINode* step = builder_.CreatePHI(word, 2);
    llvm::PHINode* a = builder_.CreatePHI(pointer, 2);
    llvm::PHINode* b = builder_.CreatePHI(pointer, 2);
    step->addIncoming(builder_.getInt64(0), before);
    a->addIncoming(function_->getArg(2), before);
    b->addIncoming(function_->getArg(4), before);
    for (int column = 0; column < kColumns; ++column)
      load(kFirstB + column, at(b, b_stride, 0, column), b_stride);
    for (int row = 0; row < rows_; ++row)
      load(kFirstA + row, at(a, a_stride, row, 0), a_stride);
    each_sum([&](int tile, int row, int column) {
      call(multiply_, {number(tile), number(kFirstA + row), number(kFirstB + column)});
    });
    Value* next = builder_.CreateAdd(step, builder_.getInt64(1));
    step->addIncoming(next, loop);
    a->addIncoming(builder_.CreateGEP(builder_.getInt8Ty(), a, builder_.getInt64(kTileBytes)),
                   loop);
    b->addIncoming(at(b, b_stride, 1, 0), loop);
    builder_.CreateCondBr(builder_.CreateICmpULT(next, function_->getArg(6)), loop, after);

    builder_.SetInsertPoint(after);
    each_sum([&](int tile, int row, int column) {
      call(llvm::Intrinsic::x86_tilestored64,
           {number(tile), at(c, c_stride, row, column), c_stride});
    });
    call(llvm::Intrinsic::x86_tilerelease, {});
    builder_.CreateRetVoid();
    return function_;
  }

private:
  static constexpr int kColumns = 2; ///< tiles of sums side by side
  static constexpr int kFirstA = 4;
  static constexpr int kFirstB = 6;

  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(module_.getContext(), name, function_);
  }
  Value* number(int tile) { return builder_.getInt8(static_cast<uint8_t>(tile)); }
  Value* call(llvm::Intrinsic::ID id, std::vector<Value*> args) {
    return builder_.CreateCall(llvm::Intrinsic::getDeclaration(&module_, id), args);
  }
  void load(int tile, Value* from, Value* stride) {
    call(llvm::Intrinsic::x86_tileloadd64, {number(tile), from, stride});
  }
  /// Of the tile that is the `row`th down and the `column`th to the right.
  Value* at(Value* base, Value* stride, int row, int column) {
    Value* offset = builder_.CreateAdd(
        builder_.CreateMul(stride, builder_.getInt64(static_cast<uint64_t>(row) * kTileRows)),
        builder_.getInt64(static_cast<uint64_t>(column) * kTileBytes));
    return builder_.CreateGEP(builder_.getInt8Ty(), base, offset);
  }
  template <typename F> void each_sum(const F& visit) {
    for (int row = 0; row < rows_; ++row)
      for (int column = 0; column < kColumns; ++column)
        visit(row * kColumns + column, row, column);
  }

  /// arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), once a process. Where it is refused the
  /// first instruction ends the process, as any that a processor lacks.
  void ask_for_leave() {
    auto* asked = module_.getGlobalVariable("amx_asked", true);
    if (asked == nullptr)
      asked = new llvm::GlobalVariable(module_, builder_.getInt8Ty(), false,
                                       llvm::GlobalValue::InternalLinkage, builder_.getInt8(0),
                                       "amx_asked");
    llvm::BasicBlock* ask = block("ask");
    llvm::BasicBlock* ready = block("ready");
    builder_.CreateCondBr(builder_.CreateICmpEQ(builder_.CreateLoad(builder_.getInt8Ty(), asked),
                                                builder_.getInt8(0)),
                          ask, ready);
    builder_.SetInsertPoint(ask);
    llvm::Type* word = builder_.getInt64Ty();
    auto* type = llvm::FunctionType::get(word, {word, word, word}, false);
    auto* system_call =
        llvm::InlineAsm::get(type, "syscall", "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}",
                             /*hasSideEffects=*/true);
    constexpr uint64_t kArchPrctl = 158;
    constexpr uint64_t kRequestPermission = 0x1023;
    constexpr uint64_t kTileData = 18;
    builder_.CreateCall(type, system_call,
                        {builder_.getInt64(kArchPrctl), builder_.getInt64(kRequestPermission),
                         builder_.getInt64(kTileData)});
    builder_.CreateStore(builder_.getInt8(1), asked);
    builder_.CreateBr(ready);
    builder_.SetInsertPoint(ready);
  }

  /// All eight registers of 16 rows of 64 bytes.
  void configure() {
    auto* configuration = module_.getGlobalVariable("amx_configuration", true);
    if (configuration == nullptr) {
      std::array<uint8_t, 64> bytes{};
      bytes[0] = 1; // palette
      for (size_t tile = 0; tile < 8; ++tile) {
        bytes[16 + 2 * tile] = kTileBytes;
        bytes[48 + tile] = kTileRows;
      }
      auto* data = llvm::ConstantDataArray::get(module_.getContext(), bytes);
      configuration =
          new llvm::GlobalVariable(module_, data->getType(), true,
                                   llvm::GlobalValue::InternalLinkage, data, "amx_configuration");
      configuration->setAlignment(llvm::Align(64));
    }
    call(llvm::Intrinsic::x86_ldtilecfg, {configuration});
  }

  llvm::Module& module_;
  llvm::IRBuilder<> builder_;
  llvm::Intrinsic::ID multiply_;
  int rows_; ///< tiles of sums one above the other
  llvm::Function* function_ = nullptr;
};

} // namespace

llvm::Function* amx_multiply_add(llvm::Module& module, DataType a, DataType b, int rows) {
  const llvm::Intrinsic::ID multiply = instruction_for(a, b);
  if (multiply == llvm::Intrinsic::not_intrinsic || (rows != kTileRows && rows != 2 * kTileRows))
    return nullptr;
  const std::string name =
      "amx_multiply_add_" + to_string(a) + "_" + to_string(b) + "_" + std::to_string(rows);
  if (llvm::Function* made = module.getFunction(name))
    return made;
  return Maker(module, multiply, rows).make(name);
}

} // namespace temper::codegen
