#include "codegen/llvm/facts.h"

#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/CodeGen/MachineFrameInfo.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/PseudoSourceValue.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Scalar.h"
#include "llvm/Transforms/Utils.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

namespace temper::codegen {
namespace {

/// Runs after every machine pass, when each instruction still knows which stack slot it touches:
/// spills are told apart from arrays on the stack, which disassembly could not do.
class FactsPass : public llvm::MachineFunctionPass {
public:
  static char ID;
  explicit FactsPass(StaticFacts& facts) : MachineFunctionPass(ID), facts_(facts) {}

  llvm::StringRef getPassName() const override { return "Static facts"; }
  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
    usage.addRequired<llvm::MachineLoopInfoWrapperPass>();
    usage.setPreservesAll();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    facts_.stack_bytes =
        std::max(facts_.stack_bytes, static_cast<int64_t>(function.getFrameInfo().getStackSize()));
    for (const llvm::MachineBasicBlock& block : function)
      for (const llvm::MachineInstr& instruction : block)
        if (!instruction.isMetaInstruction())
          ++facts_.instructions;
    const auto& loops = getAnalysis<llvm::MachineLoopInfoWrapperPass>().getLI();
    for (const llvm::MachineLoop* loop : loops)
      visit_loop(*loop, function);
    return false;
  }

private:
  void visit_loop(const llvm::MachineLoop& loop, const llvm::MachineFunction& function) {
    if (!loop.isInnermost()) {
      for (const llvm::MachineLoop* inner : loop)
        visit_loop(*inner, function);
      return;
    }
    int64_t size = 0;
    int bits = 0;
    for (const llvm::MachineBasicBlock* block : loop.getBlocks())
      for (const llvm::MachineInstr& instruction : *block) {
        if (instruction.isMetaInstruction())
          continue;
        ++size;
        facts_.spills += touches_spill_slot(instruction, function.getFrameInfo());
        bits = std::max(bits, vector_bits(instruction, function));
      }
    // The hottest loop is taken to be the most deeply nested one, then the largest.
    const auto depth = static_cast<int64_t>(loop.getLoopDepth());
    if (depth > hot_depth_ || (depth == hot_depth_ && size > hot_size_)) {
      hot_depth_ = depth;
      hot_size_ = size;
      facts_.vector_bits = bits;
    }
  }

  static bool touches_spill_slot(const llvm::MachineInstr& instruction,
                                 const llvm::MachineFrameInfo& frame) {
    for (const llvm::MachineMemOperand* operand : instruction.memoperands())
      if (const auto* slot =
              llvm::dyn_cast_or_null<llvm::FixedStackPseudoSourceValue>(operand->getPseudoValue()))
        if (frame.isSpillSlotObjectIndex(slot->getFrameIndex()))
          return true;
    return false;
  }

  int vector_bits(const llvm::MachineInstr& instruction, const llvm::MachineFunction& function) {
    const llvm::TargetSubtargetInfo& subtarget = function.getSubtarget();
    const llvm::TargetRegisterInfo& registers = *subtarget.getRegisterInfo();
    if (register_bits_.empty()) {
      register_bits_.resize(registers.getNumRegs());
      for (unsigned number = 1; number < registers.getNumRegs(); ++number) {
        const llvm::StringRef name = registers.getName(number);
        register_bits_[number] = static_cast<uint16_t>(name.starts_with("ZMM")   ? 512
                                                       : name.starts_with("YMM") ? 256
                                                       : name.starts_with("XMM") ? 128
                                                                                 : 0);
      }
    }
    int bits = 0;
    for (const llvm::MachineOperand& operand : instruction.operands())
      if (operand.isReg() && !operand.isImplicit() && operand.getReg().isPhysical())
        bits = std::max<int>(bits, register_bits_[operand.getReg().id()]);
    if (bits != 128)
      return bits;
    // Scalars live in the lower lane of the same registers: ADDSS, MULSD, VFMADD231SSr...
    const llvm::StringRef name = subtarget.getInstrInfo()->getName(instruction.getOpcode());
    return name.contains("SS") || name.contains("SD") || name.contains("SH") ? 0 : 128;
  }

  StaticFacts& facts_;
  std::vector<uint16_t> register_bits_;
  int64_t hot_depth_ = -1;
  int64_t hot_size_ = 0;
};

char FactsPass::ID = 0;

/// Whether LLVM's own loop strength reduction is left out, for which it has no other way than a
/// switch of the whole process (which a link by lld resets: it is set for each kernel anew). `body`
/// asks for passes meanwhile.
template <typename Body> auto without_own_reduction(bool without, const Body& body) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  auto& switches = llvm::cl::getRegisteredOptions();
  const auto found = switches.find("disable-lsr");
  auto* own = found == switches.end() ? nullptr : static_cast<llvm::cl::opt<bool>*>(found->second);
  const bool before = own != nullptr && own->getValue();
  if (own != nullptr && without)
    own->setValue(true);
  auto result = body();
  if (own != nullptr)
    own->setValue(before);
  return result;
}

/// Register tiles of 8 x 2 vectors and three steps have about 650 instructions; where their
/// addresses are not reduced before codegen's first passes, their loads are clustered by the
/// scheduler and spilled, which makes them half as slow again. In larger functions that pass takes
/// too long, and LLVM's own, later one does less.
bool reduces_loops_first(const llvm::Module& module) {
  constexpr unsigned kLarge = 900;
  return module.getInstructionCount() <= kLarge;
}

void add_loop_strength_reduction(llvm::TargetMachine& machine, llvm::legacy::PassManager& passes) {
  passes.add(llvm::createTargetTransformInfoWrapperPass(machine.getTargetIRAnalysis()));
  passes.add(llvm::createCanonicalizeFreezeInLoopsPass());
  passes.add(llvm::createLoopStrengthReducePass());
}

} // namespace

bool emit_machine_code(llvm::TargetMachine& machine, llvm::Module& module,
                       llvm::raw_pwrite_stream& stream, bool assembly, StaticFacts* facts) {
  // What TargetMachine::addPassesToEmitFile does, with one more pass before the printer.
  auto& codegen = static_cast<llvm::LLVMTargetMachine&>(machine);
  llvm::legacy::PassManager passes;
  auto* modules = new llvm::MachineModuleInfoWrapperPass(&codegen); // the pass manager owns passes
  llvm::TargetPassConfig* config = codegen.createPassConfig(passes);
  config->setDisableVerify(true);
  passes.add(config);
  passes.add(modules);
  const bool reduced = reduces_loops_first(module);
  if (reduced)
    add_loop_strength_reduction(machine, passes);
  if (without_own_reduction(reduced, [&] { return config->addISelPasses(); }))
    return false;
  config->addMachinePasses();
  config->setInitialized();
  if (facts != nullptr)
    passes.add(new FactsPass(*facts));
  const auto type =
      assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (codegen.addAsmPrinter(passes, stream, nullptr, type, modules->getMMI().getContext()))
    return false;
  passes.run(module);
  return true;
}

} // namespace temper::codegen
