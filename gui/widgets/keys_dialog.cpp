#include "gui/widgets/keys_dialog.h"

#include <QBoxLayout>
#include <QHeaderView>
#include <QKeySequenceEdit>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QTreeWidget>

#include <algorithm>

namespace temper::gui {

KeysDialog::KeysDialog(ActionRegistry& actions, QWidget* parent)
    : QDialog(parent), actions_(actions), search_(new QLineEdit(this)),
      list_(new QTreeWidget(this)), name_(new QLabel(this)), keys_(new QKeySequenceEdit(this)),
      none_(new QPushButton(tr("No key"), this)), usual_(new QPushButton(tr("The usual"), this)),
      allUsual_(new QPushButton(tr("All as usual"), this)), problem_(new QLabel(this)) {
  setObjectName(QStringLiteral("keys"));
  setWindowTitle(tr("Keys"));
  resize(fontMetrics().horizontalAdvance(u'0') * 100, fontMetrics().height() * 36);
  search_->setObjectName(QStringLiteral("keys.search"));
  search_->setAccessibleName(tr("Find a command or a key"));
  search_->setPlaceholderText(tr("command or key"));
  search_->setClearButtonEnabled(true);
  list_->setObjectName(QStringLiteral("keys.list"));
  list_->setAccessibleName(tr("Commands and their keys"));
  list_->setHeaderLabels({tr("command"), tr("key"), tr("usual"), tr("what it does")});
  list_->setRootIsDecorated(false);
  list_->setUniformRowHeights(true);
  list_->setFrameShape(QFrame::NoFrame);
  list_->header()->setStretchLastSection(true);
  keys_->setObjectName(QStringLiteral("keys.field"));
  keys_->setAccessibleName(tr("Its key"));
  for (QWidget* child : keys_->findChildren<QWidget*>())
    child->setAccessibleName(tr("Its key"));
  problem_->setObjectName(QStringLiteral("keys.problem"));
  problem_->setWordWrap(true);
  problem_->setTextFormat(Qt::PlainText);
  QFont bold = font();
  bold.setBold(true);
  name_->setFont(bold);
  auto* close = new QPushButton(tr("Close"), this);
  for (QPushButton* button : {none_, usual_, allUsual_, close})
    button->setAutoDefault(false);

  auto* change = new QHBoxLayout;
  change->addWidget(name_, 1);
  change->addWidget(keys_);
  change->addWidget(none_);
  change->addWidget(usual_);
  auto* foot = new QHBoxLayout;
  foot->addWidget(allUsual_);
  foot->addWidget(problem_, 1);
  foot->addWidget(close);
  auto* layout = new QVBoxLayout(this);
  layout->addWidget(search_);
  layout->addWidget(list_, 1);
  layout->addLayout(change);
  layout->addLayout(foot);

  connect(search_, &QLineEdit::textChanged, this, &KeysDialog::filter);
  connect(list_, &QTreeWidget::currentItemChanged, this, &KeysDialog::showCurrent);
  connect(list_, &QTreeWidget::itemActivated, this, [this] { keys_->setFocus(); });
  connect(keys_, &QKeySequenceEdit::editingFinished, this, [this] {
    if (!showing_)
      take(keys_->keySequence());
  });
  connect(none_, &QPushButton::clicked, this, [this] { take({}); });
  connect(usual_, &QPushButton::clicked, this, [this] { take(actions_.usualKeys(current())); });
  connect(allUsual_, &QPushButton::clicked, this, [this] {
    actions_.resetKeys();
    problem_->clear();
    fill();
    emit keysChanged();
  });
  connect(close, &QPushButton::clicked, this, &QDialog::accept);
  fill();
  for (int column = 0; column < 3; ++column)
    list_->resizeColumnToContents(column);
  search_->setFocus();
}

QString KeysDialog::problem() const { return problem_->text(); }

QString KeysDialog::current() const {
  const QTreeWidgetItem* item = list_->currentItem();
  return item ? item->data(0, Qt::UserRole).toString() : QString();
}

void KeysDialog::selectCommand(const QString& id) {
  for (int row = 0; row < list_->topLevelItemCount(); ++row)
    if (QTreeWidgetItem* item = list_->topLevelItem(row); item->data(0, Qt::UserRole) == id)
      list_->setCurrentItem(item);
}

void KeysDialog::fill() {
  const QString before = current();
  list_->clear();
  for (const QString& id : actions_.ids()) {
    const QAction* action = actions_.action(id);
    const auto text = [](const QKeySequence& keys) {
      return keys.toString(QKeySequence::NativeText);
    };
    const QKeySequence usual = actions_.usualKeys(id);
    auto* item = new QTreeWidgetItem(
        list_, {actions_.menuOf(id) + QStringLiteral(" › ") + QString(action->text()).remove(u'&'),
                text(action->shortcut()),
                usual == action->shortcut() ? QString()
                : usual.isEmpty()           ? tr("none")
                                            : text(usual),
                action->statusTip()});
    item->setData(0, Qt::UserRole, id);
    item->setToolTip(3, action->statusTip());
  }
  filter();
  selectCommand(before.isEmpty() && !actions_.ids().isEmpty() ? actions_.ids().front() : before);
}

void KeysDialog::filter() {
  const QStringList words = search_->text().toLower().split(u' ', Qt::SkipEmptyParts);
  for (int row = 0; row < list_->topLevelItemCount(); ++row) {
    QTreeWidgetItem* item = list_->topLevelItem(row);
    const QString all = (item->text(0) + u' ' + item->text(1) + u' ' + item->text(3)).toLower();
    item->setHidden(!std::all_of(words.begin(), words.end(),
                                 [&](const QString& w) { return all.contains(w); }));
  }
}

void KeysDialog::showCurrent() {
  const QString id = current();
  const QAction* action = actions_.action(id);
  showing_ = true;
  name_->setText(action ? QString(action->text()).remove(u'&') : QString());
  keys_->setKeySequence(action ? action->shortcut() : QKeySequence());
  showing_ = false;
  for (QWidget* widget : std::initializer_list<QWidget*>{keys_, none_, usual_})
    widget->setEnabled(action != nullptr);
}

void KeysDialog::take(const QKeySequence& keys) {
  const QString id = current();
  const QAction* action = actions_.action(id);
  if (!action || keys == action->shortcut())
    return;
  problem_->setText(actions_.setKeys(id, keys));
  if (problem_->text().isEmpty()) {
    fill();
    emit keysChanged();
  } else {
    showCurrent();
  }
}

} // namespace temper::gui
