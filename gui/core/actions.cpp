#include "gui/core/actions.h"

#include "ir/support/check.h"

#include <algorithm>

namespace temper::gui {

QAction* ActionRegistry::add(const ActionSpec& spec, std::function<void()> run,
                             std::function<bool()> enabled) {
  TEMPER_CHECK(entries_.count(spec.id) == 0, "an action's id is its own");
  auto* action = new QAction(spec.text, this);
  action->setObjectName(spec.id);
  const QKeySequence keys(spec.shortcut, QKeySequence::PortableText);
  action->setStatusTip(spec.hint);
  showKeys(action, keys);
  QObject::connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
  entries_[spec.id] = {action, spec.menu, std::move(enabled), keys, nullptr};
  ids_ << spec.id;
  if (!menus_.contains(spec.menu))
    menus_ << spec.menu;
  return action;
}

void ActionRegistry::setCommandLine(const QString& id, std::function<QString()> commandLine) {
  const auto entry = entries_.find(id);
  TEMPER_CHECK(entry != entries_.end(), "a command line is of a command");
  entry->second.commandLine = std::move(commandLine);
}

QString ActionRegistry::commandLineOf(const QString& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() || !entry->second.commandLine || !entry->second.action->isEnabled()
             ? QString()
             : entry->second.commandLine();
}

bool ActionRegistry::hasCommandLine(const QString& id) const {
  const auto entry = entries_.find(id);
  return entry != entries_.end() && entry->second.commandLine;
}

QAction* ActionRegistry::action(const QString& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? nullptr : entry->second.action;
}

QString ActionRegistry::menuOf(const QString& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? QString() : entry->second.menu;
}

bool ActionRegistry::trigger(const QString& id) {
  updateEnabled();
  QAction* found = action(id);
  if (!found || !found->isEnabled())
    return false;
  found->trigger();
  return true;
}

void ActionRegistry::updateEnabled() {
  for (auto& [id, entry] : entries_)
    if (entry.enabled)
      entry.action->setEnabled(entry.enabled());
}

QStringList ActionRegistry::clashes() const {
  QStringList sentences;
  std::map<QString, QString> owners;
  for (const QString& id : ids_)
    for (const QKeySequence& keys : entries_.at(id).action->shortcuts()) {
      const auto [owner, isNew] = owners.try_emplace(keys.toString(), id);
      if (!isNew)
        sentences << QStringLiteral("%1 is the shortcut of %2 and of %3")
                         .arg(keys.toString(), owner->second, id);
    }
  return sentences;
}

void ActionRegistry::showKeys(QAction* action, const QKeySequence& keys) {
  action->setShortcut(keys);
  const QString& hint = action->statusTip();
  action->setToolTip(keys.isEmpty() ? hint
                                    : QStringLiteral("%1 (%2)").arg(
                                          hint, keys.toString(QKeySequence::PortableText)));
}

QString ActionRegistry::setKeys(const QString& id, const QKeySequence& keys) {
  QAction* mine = action(id);
  if (!mine)
    return tr("There is no command %1.").arg(id);
  // A chord's start is as good as taken: which of the two is meant nobody can tell.
  for (const QString& other : ids_) {
    const QKeySequence& taken = entries_.at(other).action->shortcut();
    if (other == id || keys.isEmpty() || taken.isEmpty())
      continue;
    if (keys.matches(taken) != QKeySequence::NoMatch ||
        taken.matches(keys) != QKeySequence::NoMatch)
      return tr("%1 is the key of \"%2\"; give that command another one first.")
          .arg(taken.toString(QKeySequence::NativeText),
               QString(entries_.at(other).action->text()).remove(u'&'));
  }
  showKeys(mine, keys);
  return {};
}

QKeySequence ActionRegistry::usualKeys(const QString& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? QKeySequence() : entry->second.usual;
}

void ActionRegistry::resetKeys() {
  for (auto& [id, entry] : entries_)
    showKeys(entry.action, entry.usual);
}

std::map<QString, QString> ActionRegistry::changedKeys() const {
  std::map<QString, QString> changed;
  for (const auto& [id, entry] : entries_)
    if (entry.action->shortcut() != entry.usual)
      changed[id] = entry.action->shortcut().toString(QKeySequence::PortableText);
  return changed;
}

void ActionRegistry::takeKeys(const std::map<QString, QString>& kept) {
  resetKeys();
  // Two commands may have changed keys with each other: first all let go of theirs.
  std::map<QString, QString> fits;
  for (const auto& [id, keys] : kept)
    if (QAction* mine = action(id)) {
      fits[id] = keys;
      showKeys(mine, {});
    }
  for (const auto& [id, keys] : fits)
    if (!setKeys(id, QKeySequence(keys, QKeySequence::PortableText)).isEmpty())
      setKeys(id, usualKeys(id));
}

QStringList ActionRegistry::search(const QString& query) const {
  const QStringList words = query.toLower().split(u' ', Qt::SkipEmptyParts);
  std::vector<std::pair<int, QString>> found;
  for (const QString& id : ids_) {
    const Entry& entry = entries_.at(id);
    const QString text = QString(entry.action->text()).remove(u'&').toLower();
    const QString all = text + u' ' + entry.menu.toLower() + u' ' + id;
    int cost = entry.action->isEnabled() ? 0 : 100;
    bool matches = true;
    for (const QString& word : words) {
      matches = matches && all.contains(word);
      if (!text.startsWith(word) && !text.contains(u' ' + word))
        cost += 10;
    }
    if (matches)
      found.emplace_back(cost, id);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  QStringList result;
  for (const auto& [cost, id] : found)
    result << id;
  return result;
}

} // namespace temper::gui
