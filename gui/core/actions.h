/// Every command of the workbench, once: its id, words, shortcut and what it does. Menus, buttons,
/// the palette and the tests take it from here.
#pragma once

#include <QAction>
#include <QKeySequence>
#include <QObject>
#include <QString>

#include <functional>
#include <map>

namespace temper::gui {

struct ActionSpec {
  QString id;       ///< "record.compare"
  QString menu;     ///< the menu that it is in
  QString text;     ///< "Compare with…"
  QString shortcut; ///< portable text, empty for none
  QString hint;     ///< a sentence for the status bar and the palette
};

class ActionRegistry : public QObject {
  Q_OBJECT
public:
  using QObject::QObject;

  /// Adds a command. `enabled` is asked whenever something changed; null means always.
  QAction* add(const ActionSpec& spec, std::function<void()> run,
               std::function<bool()> enabled = nullptr);
  /// The command line that does the same: asked when somebody wants it; an empty text where there
  /// is none now.
  void setCommandLine(const QString& id, std::function<QString()> commandLine);
  QString commandLineOf(const QString& id) const;
  /// Whether there ever is one.
  bool hasCommandLine(const QString& id) const;
  QAction* action(const QString& id) const; ///< null when there is none
  QString menuOf(const QString& id) const;
  const QStringList& ids() const { return ids_; } ///< in the order they were added
  const QStringList& menus() const { return menus_; }
  /// Runs an enabled command; false when it is disabled or unknown.
  bool trigger(const QString& id);
  void updateEnabled();
  /// Shortcuts that two commands share, as sentences.
  QStringList clashes() const;

  // Keys are what a person wants them to be.
  /// Other keys for a command, none when empty. What is wrong with them is said in a sentence, and
  /// nothing is changed then; empty: done.
  QString setKeys(const QString& id, const QKeySequence& keys);
  /// The keys that it has at first.
  QKeySequence usualKeys(const QString& id) const;
  /// As all commands have them at first.
  void resetKeys();
  /// What differs from the usual, by id, in portable text; to be kept and given back to `takeKeys`.
  std::map<QString, QString> changedKeys() const;
  /// Keys that were kept. What does not fit any more (no such command, keys that another one has
  /// now) stays as usual.
  void takeKeys(const std::map<QString, QString>& kept);

  /// Ids whose text, menu or id has all words of `query`, best first: matches at the start of a
  /// word of the text before others, enabled before disabled.
  QStringList search(const QString& query) const;

private:
  struct Entry {
    QAction* action;
    QString menu;
    std::function<bool()> enabled;
    QKeySequence usual;
    std::function<QString()> commandLine;
  };
  static void showKeys(QAction* action, const QKeySequence& keys);
  std::map<QString, Entry> entries_;
  QStringList ids_;
  QStringList menus_;
};

} // namespace temper::gui
