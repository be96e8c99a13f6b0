/// The texts of a candidate at each level, as `temper show` prints them, kept for going back.
#pragma once

#include "gui/core/temper_program.h"

#include <QCache>
#include <QObject>

#include <functional>

namespace temper::gui {

enum class CodeLevel : uint8_t { kTrace, kScript, kTir, kLlvm, kAssembly, kCuda, kPtx };
inline constexpr int kCodeLevels = 7;
/// False for levels that code for the target does not come by: LLVM IR and assembly are of
/// processors, CUDA C++ and PTX of GPUs. An empty target is a processor.
bool hasLevel(const QString& target, CodeLevel level);
/// As its tab is called: what is CUDA C++ and PTX of NVIDIA's GPUs is HIP C++ and assembly of
/// AMD's.
QString levelTitle(CodeLevel level, const QString& target = {});
QString levelOption(CodeLevel level); ///< of `temper show`
QString levelName(CodeLevel level);   ///< "trace", "llvm": in ids of commands and in links

class CodeLoader : public QObject {
  Q_OBJECT
public:
  explicit CodeLoader(QObject* parent = nullptr);

  struct Code {
    QString text;
    QString error; ///< a sentence instead of the text
  };
  /// Answers at once when it is known, else when the command ended. A second question ends the
  /// first, which gets no answer; two loaders work side by side.
  void load(const QString& database, const QString& record, CodeLevel level,
            std::function<void(const Code&)> answer);
  void cancel() { command_.cancel(); }

private:
  TemperCommand command_;
};

} // namespace temper::gui
