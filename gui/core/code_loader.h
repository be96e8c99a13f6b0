/// The texts of a candidate at each level, as `temper show` prints them, kept for going back.
#pragma once

#include "gui/core/temper_program.h"

#include <QCache>
#include <QObject>

#include <functional>

namespace temper::gui {

enum class CodeLevel : uint8_t { kTrace, kScript, kTir, kLlvm, kAssembly };
inline constexpr int kCodeLevels = 5;
QString levelTitle(CodeLevel level);
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
