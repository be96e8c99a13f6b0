#include "gui/core/code_loader.h"

namespace temper::gui {

namespace {

/// Records never change, so neither does their code; shared by all loaders of the main thread.
QCache<QString, CodeLoader::Code>& cache() {
  static QCache<QString, CodeLoader::Code> texts(64 * 1024); // kilobytes
  return texts;
}

} // namespace

bool hasLevel(const QString& target, CodeLevel level) {
  const bool gpu =
      target.startsWith(QStringLiteral("cuda")) || target.startsWith(QStringLiteral("hip"));
  switch (level) {
  case CodeLevel::kLlvm:
  case CodeLevel::kAssembly:
    return !gpu;
  case CodeLevel::kCuda:
  case CodeLevel::kPtx:
    return gpu;
  default:
    return true;
  }
}

QString levelTitle(CodeLevel level, const QString& target) {
  if (target.startsWith(QStringLiteral("hip"))) {
    if (level == CodeLevel::kCuda)
      return QStringLiteral("HIP C++");
    if (level == CodeLevel::kPtx)
      return QStringLiteral("GCN assembly");
  }
  static const char* const titles[kCodeLevels] = {"Trace",    "Script",   "tir", "LLVM IR",
                                                  "Assembly", "CUDA C++", "PTX"};
  return QString::fromLatin1(titles[static_cast<size_t>(level)]);
}

QString levelOption(CodeLevel level) {
  static const char* const options[kCodeLevels] = {"--trace", "--script", "--tir", "--llvm",
                                                   "--asm",   "--cuda",   "--ptx"};
  return QString::fromLatin1(options[static_cast<size_t>(level)]);
}

QString levelName(CodeLevel level) {
  static const char* const names[kCodeLevels] = {"trace",    "script", "tir", "llvm",
                                                 "assembly", "cuda",   "ptx"};
  return QString::fromLatin1(names[static_cast<size_t>(level)]);
}

CodeLoader::CodeLoader(QObject* parent) : QObject(parent), command_(this) {}

void CodeLoader::load(const QString& database, const QString& record, CodeLevel level,
                      std::function<void(const Code&)> answer) {
  command_.cancel();
  const QString key = database + u'\n' + record + u'\n' + levelOption(level);
  if (const Code* known = cache().object(key)) {
    answer(*known);
    return;
  }
  command_.start(
      {QStringLiteral("show"), record, levelOption(level), QStringLiteral("--db"), database},
      [key, answer](const TemperCommand::Answer& reply) {
        Code code;
        if (reply.exitCode == 0) {
          code.text = reply.output;
          cache().insert(key, new Code(code), 1 + code.text.size() / 512);
        } else {
          code.error = reply.error;
        }
        answer(code);
      });
}

} // namespace temper::gui
