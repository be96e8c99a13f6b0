#include "codegen/llvm/amx.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace temper::codegen {
namespace {

using llvm::Value;

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64; ///< of a row
// Which registers hold what: two tiles of sums side by side and one of A for each 16 rows, two of
// B.
constexpr int kColumns = 2;
constexpr int kFirstA = 4;
constexpr int kFirstB = 6;

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
  Maker(llvm::Module& module, llvm::Intrinsic::ID multiply, int rows,
        std::span<const AmxShared> products)
      : module_(module), builder_(module.getContext()), multiply_(multiply),
        rows_((rows + kTileRows - 1) / kTileRows), products_(products) {}

  llvm::Function* make(const std::string& name) {
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::Type* word = builder_.getInt64Ty();
    std::vector<llvm::Type*> parameters{pointer, word, builder_.getInt1Ty()};
    for (size_t product = 0; product < products_.size(); ++product)
      parameters.insert(parameters.end(), {pointer, word, pointer, word, word});
    auto* type = llvm::FunctionType::get(builder_.getVoidTy(), parameters, false);
    function_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr(llvm::Attribute::NoInline);
    Value* c = function_->getArg(0);
    Value* c_stride = function_->getArg(1);

    llvm::BasicBlock* entry = block("");
    llvm::BasicBlock* clear = block("clear");
    llvm::BasicBlock* fetch = block("fetch");
    llvm::BasicBlock* before = block("before");
    builder_.SetInsertPoint(entry);
    builder_.CreateCondBr(function_->getArg(2), clear, fetch);
    builder_.SetInsertPoint(clear);
    each_sum([&](int tile, int, int) { call(llvm::Intrinsic::x86_tilezero, {number(tile)}); });
    builder_.CreateBr(before);
    builder_.SetInsertPoint(fetch);
    each_sum(
        [&](int tile, int row, int column) { load(tile, at(c, c_stride, row, column), c_stride); });
    builder_.CreateBr(before);
    builder_.SetInsertPoint(before);
    for (size_t first = 0, end = 0; first < products_.size(); first = end) {
      for (end = first + 1; end < products_.size() && products_[end] != AmxShared::kNothing;)
        ++end;
      multiply(first, end);
    }
    each_sum([&](int tile, int row, int column) {
      call(llvm::Intrinsic::x86_tilestored64,
           {number(tile), at(c, c_stride, row, column), c_stride});
    });
    builder_.CreateRetVoid();
    return function_;
  }

private:
  /// The argument of a product: 0 and 1 are A and its stride, 2 and 3 B's, 4 the steps.
  Value* argument(size_t product, unsigned number) {
    return function_->getArg(static_cast<unsigned>(3 + 5 * product) + number);
  }

  /// The loop over the steps that the products from `first` to before `end` take together.
  void multiply(size_t first, size_t end) {
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    llvm::BasicBlock* loop = block("loop");
    llvm::BasicBlock* after = block("after");
    builder_.CreateBr(loop);
    builder_.SetInsertPoint(loop);
    llvm::PHINode* step = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    step->addIncoming(builder_.getInt64(0), before);
    // Where the operands of this step lie; null: the registers hold it.
    std::vector<std::array<llvm::PHINode*, 2>> places;
    for (size_t product = first; product < end; ++product) {
      places.emplace_back();
      for (const unsigned operand : {0U, 1U})
        if (product == first ||
            products_[product] != (operand == 0 ? AmxShared::kA : AmxShared::kB)) {
          places.back()[operand] = builder_.CreatePHI(builder_.getPtrTy(), 2);
          places.back()[operand]->addIncoming(argument(product, 2 * operand), before);
        }
    }
    for (size_t product = first; product < end; ++product) {
      const auto& [a, b] = places[product - first];
      Value* a_stride = argument(product, 1);
      Value* b_stride = argument(product, 3);
      for (int column = 0; b != nullptr && column < kColumns; ++column)
        load(kFirstB + column, at(b, b_stride, 0, column), b_stride);
      for (int row = 0; a != nullptr && row < rows_; ++row)
        load(kFirstA + row, at(a, a_stride, row, 0), a_stride);
      each_sum([&](int tile, int row, int column) {
        call(multiply_, {number(tile), number(kFirstA + row), number(kFirstB + column)});
      });
    }
    for (size_t product = first; product < end; ++product) {
      const auto& [a, b] = places[product - first];
      if (a != nullptr)
        a->addIncoming(builder_.CreateGEP(builder_.getInt8Ty(), a, builder_.getInt64(kTileBytes)),
                       loop);
      if (b != nullptr)
        b->addIncoming(at(b, argument(product, 3), 1, 0), loop);
    }
    Value* next = builder_.CreateAdd(step, builder_.getInt64(1));
    step->addIncoming(next, loop);
    builder_.CreateCondBr(builder_.CreateICmpULT(next, argument(first, 4)), loop, after);
    builder_.SetInsertPoint(after);
  }

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

  llvm::Module& module_;
  llvm::IRBuilder<> builder_;
  llvm::Intrinsic::ID multiply_;
  int rows_; ///< tiles of sums one above the other
  std::span<const AmxShared> products_;
  llvm::Function* function_ = nullptr;
};

/// Rows of the tiles of sums, and of A, of the first 16 rows and of those below.
using TileHeights = std::array<int, 2>;

TileHeights heights_of(int rows) { return {std::min(rows, kTileRows), rows - kTileRows}; }

llvm::GlobalVariable* internal_global(llvm::Module& module, llvm::Constant* value, bool constant,
                                      const std::string& name) {
  return new llvm::GlobalVariable(module, value->getType(), constant,
                                  llvm::GlobalValue::InternalLinkage, value, name);
}

/// Configures all eight registers, of 64 bytes a row: as high as said, 16 where that is not above
/// 0.
void configure(llvm::IRBuilder<>& builder, llvm::Module& module, TileHeights heights) {
  for (int& height : heights)
    height = height > 0 ? height : kTileRows;
  std::array<uint8_t, 64> bytes{};
  bytes[0] = 1; // palette
  for (size_t tile = 0; tile < 8; ++tile) {
    const bool of_b = tile >= kFirstB;
    const size_t row = tile >= kFirstA ? tile - kFirstA : tile / kColumns;
    bytes[16 + 2 * tile] = kTileBytes;
    bytes[48 + tile] = static_cast<uint8_t>(of_b ? kTileRows : heights[row]);
  }
  const std::string name = fmt::format("amx_configuration_{}_{}", heights[0], heights[1]);
  llvm::GlobalVariable* configuration = module.getNamedGlobal(name);
  if (configuration == nullptr) {
    configuration = internal_global(
        module, llvm::ConstantDataArray::get(module.getContext(), bytes), true, name);
    configuration->setAlignment(llvm::Align(64));
  }
  builder.CreateCall(llvm::Intrinsic::getDeclaration(&module, llvm::Intrinsic::x86_ldtilecfg),
                     {configuration});
}

/// Asks for leave to use the tile registers and configures them.
llvm::Function* make_begin(llvm::Module& module, const TileHeights& heights) {
  llvm::LLVMContext& context = module.getContext();
  llvm::IRBuilder<> builder(context);
  auto* begin = llvm::Function::Create(llvm::FunctionType::get(builder.getVoidTy(), false),
                                       llvm::Function::InternalLinkage, "amx_begin", module);
  begin->addFnAttr(llvm::Attribute::NoUnwind);
  begin->addFnAttr(llvm::Attribute::NoInline);
  auto* entry = llvm::BasicBlock::Create(context, "", begin);
  auto* ask = llvm::BasicBlock::Create(context, "ask", begin);
  auto* ready = llvm::BasicBlock::Create(context, "ready", begin);

  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), once a process. Where it is refused the
  // first instruction ends the process, as any that a processor lacks.
  builder.SetInsertPoint(entry);
  auto* asked = internal_global(module, builder.getInt8(0), false, "amx_asked");
  builder.CreateCondBr(
      builder.CreateICmpEQ(builder.CreateLoad(builder.getInt8Ty(), asked), builder.getInt8(0)), ask,
      ready);
  builder.SetInsertPoint(ask);
  llvm::Type* word = builder.getInt64Ty();
  auto* type = llvm::FunctionType::get(word, {word, word, word}, false);
  auto* system_call =
      llvm::InlineAsm::get(type, "syscall", "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}",
                           /*hasSideEffects=*/true);
  constexpr uint64_t kArchPrctl = 158;
  constexpr uint64_t kRequestPermission = 0x1023;
  constexpr uint64_t kTileData = 18;
  builder.CreateCall(type, system_call,
                     {builder.getInt64(kArchPrctl), builder.getInt64(kRequestPermission),
                      builder.getInt64(kTileData)});
  builder.CreateStore(builder.getInt8(1), asked);
  builder.CreateBr(ready);

  builder.SetInsertPoint(ready);
  configure(builder, module, heights);
  builder.CreateRetVoid();
  return begin;
}

constexpr const char* kPrefix = "amx_multiply_add_";

/// On a function that multiplies: how many rows its sums have.
constexpr const char* kRowsAttribute = "amx-rows";

int rows_of(const llvm::Function& product) {
  int rows = 0;
  product.getFnAttribute(kRowsAttribute).getValueAsString().getAsInteger(10, rows);
  return rows;
}

bool calls_product(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
  return call != nullptr && call->getCalledFunction() != nullptr &&
         call->getCalledFunction()->getName().starts_with(kPrefix);
}

} // namespace

void amx_configure(llvm::Module& module) {
  std::vector<llvm::Function*> users;
  for (llvm::Function& function : module) {
    const auto uses = [](const llvm::BasicBlock& block) {
      return std::any_of(block.begin(), block.end(), calls_product);
    };
    if (std::any_of(function.begin(), function.end(), uses))
      users.push_back(&function);
  }
  if (users.empty())
    return;
  // Products of different heights share a configuration where they agree on the registers that they
  // use, as 16 and 20 rows do; else each asks for its own whenever it begins.
  TileHeights shared{0, 0};
  bool agree = true;
  std::vector<llvm::Function*> products;
  for (llvm::Function& function : module)
    if (const int rows = rows_of(function); rows > 0) {
      products.push_back(&function);
      const TileHeights own = heights_of(rows);
      for (size_t i = 0; i < own.size(); ++i) {
        agree = agree && (own[i] <= 0 || shared[i] <= 0 || own[i] == shared[i]);
        shared[i] = std::max(shared[i], own[i]);
      }
    }
  if (!agree)
    for (llvm::Function* product : products) {
      llvm::BasicBlock& entry = product->getEntryBlock();
      llvm::IRBuilder<> builder(&entry, entry.begin());
      configure(builder, module, heights_of(rows_of(*product)));
    }
  llvm::Function* begin = make_begin(module, shared);
  llvm::Function* release =
      llvm::Intrinsic::getDeclaration(&module, llvm::Intrinsic::x86_tilerelease);
  for (llvm::Function* user : users) {
    llvm::BasicBlock& entry = user->getEntryBlock();
    llvm::IRBuilder<>(&entry, entry.getFirstNonPHIOrDbgOrAlloca()).CreateCall(begin);
    for (llvm::BasicBlock& block : *user)
      if (llvm::isa<llvm::ReturnInst>(block.getTerminator()))
        llvm::IRBuilder<>(block.getTerminator()).CreateCall(release);
  }
}

llvm::Function* amx_multiply_add(llvm::Module& module, DataType a, DataType b, int rows,
                                 std::span<const AmxShared> products) {
  const llvm::Intrinsic::ID multiply = instruction_for(a, b);
  if (multiply == llvm::Intrinsic::not_intrinsic || rows < 1 || rows > 2 * kTileRows)
    return nullptr;
  std::string name = kPrefix + to_string(a) + "_" + to_string(b) + "_" + std::to_string(rows);
  for (size_t product = 1; product < products.size(); ++product)
    name += products[product] == AmxShared::kNothing ? "_then"
            : products[product] == AmxShared::kA     ? "_sameA"
                                                     : "_sameB";
  if (llvm::Function* made = module.getFunction(name))
    return made;
  llvm::Function* made = Maker(module, multiply, rows, products).make(name);
  made->addFnAttr(kRowsAttribute, std::to_string(rows));
  return made;
}

} // namespace temper::codegen
