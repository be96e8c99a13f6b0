#include "gui/widgets/palette.h"

#include "database/records.h"
#include "gui/core/format.h"
#include "gui/core/place_link.h"
#include "gui/widgets/theme.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QTimer>

namespace temper::gui {

namespace {

constexpr int kCommandLines = 3;

/// May be broken after each sign that parts a path or a link.
QString breakable(const QString& command) {
  QString text;
  for (const QChar c : command) {
    text += c;
    if (QStringLiteral("/&?=,:").contains(c))
      text += QChar(0x200b);
  }
  return text;
}

/// As much of a command as so many lines hold: its middle is left out where it is longer.
QString fitted(const QString& command, const QFontMetrics& metrics, int width) {
  const auto fits = [&](const QString& text) {
    return metrics.boundingRect(QRect(0, 0, width, 1000), Qt::TextWordWrap, text).height() <=
           kCommandLines * metrics.lineSpacing();
  };
  QString text = breakable(command);
  for (qsizetype kept = command.size() / 2; !fits(text) && kept > 8; kept -= 4)
    text = breakable(command.left(kept) + u'…' + command.right(kept));
  return text;
}

} // namespace

CommandPalette::CommandPalette(ActionRegistry& actions, QWidget* parent)
    : QDialog(parent, Qt::Popup | Qt::FramelessWindowHint), actions_(actions),
      field_(new QLineEdit(this)), list_(new QListWidget(this)), foot_(new QLabel(this)),
      command_(new QLabel(this)) {
  setObjectName(QStringLiteral("palette"));
  setAccessibleName(tr("Command palette"));
  field_->setPlaceholderText(tr("Command, the id of a record or run, or a link"));
  field_->setAccessibleName(tr("Command or id"));
  field_->setClearButtonEnabled(true);
  list_->setFrameShape(QFrame::NoFrame);
  list_->setAccessibleName(tr("Commands"));
  list_->setFocusPolicy(Qt::NoFocus);
  list_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addWidget(field_);
  layout->addWidget(list_);
  layout->addWidget(foot_);
  layout->addWidget(command_);
  foot_->setObjectName(QStringLiteral("palette.foot"));
  foot_->setProperty("faint", true);
  foot_->setTextFormat(Qt::PlainText);
  foot_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
  foot_->setContentsMargins(9, 2, 9, 0);
  command_->setObjectName(QStringLiteral("palette.command"));
  command_->setFont(fixedFont());
  command_->setTextFormat(Qt::PlainText);
  command_->setWordWrap(true);
  command_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  command_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
  command_->setContentsMargins(9, 0, 9, 2);
  connect(list_, &QListWidget::currentItemChanged, this, &CommandPalette::showFoot);
  field_->installEventFilter(this);
  connect(field_, &QLineEdit::textChanged, this, &CommandPalette::fill);
  connect(field_, &QLineEdit::returnPressed, this, &CommandPalette::runCurrent);
  connect(list_, &QListWidget::itemClicked, this, &CommandPalette::runCurrent);
}

void CommandPalette::popUp() {
  actions_.updateEnabled();
  field_->clear();
  fill();
  const QWidget* window = parentWidget();
  const int width = std::min(640, window->width() - 80);
  command_->setFont(fixedFont());
  command_->setFixedHeight(kCommandLines * command_->fontMetrics().lineSpacing() + 4);
  resize(width, std::min(460, window->height() - 120));
  move(window->mapToGlobal(QPoint((window->width() - width) / 2, 56)));
  show();
  showFoot();
  field_->setFocus();
}

void CommandPalette::fill() {
  list_->clear();
  const QString text = field_->text().trimmed();
  if (database::looks_like_id(text.toStdString()) && (text[0] == u'm' || text[0] == u'r')) {
    auto* item = new QListWidgetItem(
        text[0] == u'm' ? tr("Show record %1").arg(text) : tr("Show run %1").arg(text), list_);
    item->setData(Qt::UserRole + 1, text);
  }
  if (PlaceLink::isLink(text)) {
    auto* item = new QListWidgetItem(tr("Open this link"), list_);
    item->setData(Qt::UserRole + 1, text);
  }
  for (const QString& id : actions_.search(text)) {
    if (id == QStringLiteral("palette.open"))
      continue; // this is it
    const QAction* action = actions_.action(id);
    const QString keys = action->shortcut().toString(QKeySequence::NativeText);
    QString line =
        actions_.menuOf(id) + QStringLiteral("  ›  ") + QString(action->text()).remove(u'&');
    if (!keys.isEmpty())
      line += QStringLiteral("      ") + keys;
    auto* item = new QListWidgetItem(line, list_);
    item->setData(Qt::UserRole, id);
    item->setToolTip(action->statusTip());
    if (!action->isEnabled())
      item->setFlags(Qt::NoItemFlags);
  }
  for (int row = 0; row < list_->count(); ++row)
    if (list_->item(row)->flags() & Qt::ItemIsEnabled) {
      list_->setCurrentRow(row);
      break;
    }
}

QStringList CommandPalette::shownIds() const {
  QStringList ids;
  for (int row = 0; row < list_->count(); ++row)
    if (const QString id = list_->item(row)->data(Qt::UserRole).toString(); !id.isEmpty())
      ids << id;
  return ids;
}

void CommandPalette::runCurrent() {
  const QListWidgetItem* item = list_->currentItem();
  if (!item || !(item->flags() & Qt::ItemIsEnabled))
    return;
  const QString action = item->data(Qt::UserRole).toString();
  const QString id = item->data(Qt::UserRole + 1).toString();
  hide();
  // After the popup is gone: what the command opens must not lose the focus to it.
  QTimer::singleShot(0, this, [this, action, id] {
    if (!id.isEmpty())
      emit idEntered(id);
    else
      actions_.trigger(action);
  });
}

void CommandPalette::showFoot() {
  const QListWidgetItem* item = list_->currentItem();
  const QString command =
      item ? actions_.commandLineOf(item->data(Qt::UserRole).toString()) : QString();
  foot_->setText(command.isEmpty() ? tr("Enter runs it")
                                   : tr("Enter runs it, Shift+Enter copies the same as a command"));
  constexpr int kAround = 40;
  command_->setToolTip(command);
  command_->setText(fitted(command, command_->fontMetrics(), width() - kAround));
}

void CommandPalette::copyCurrent() {
  const QListWidgetItem* item = list_->currentItem();
  const QString command =
      item ? actions_.commandLineOf(item->data(Qt::UserRole).toString()) : QString();
  if (command.isEmpty())
    return;
  QApplication::clipboard()->setText(command);
  hide();
  emit commandCopied(command);
}

bool CommandPalette::eventFilter(QObject* object, QEvent* event) {
  if (object == field_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if ((key == Qt::Key_Return || key == Qt::Key_Enter) &&
        static_cast<QKeyEvent*>(event)->modifiers().testFlag(Qt::ShiftModifier)) {
      copyCurrent();
      return true;
    }
    const int step = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : 0;
    if (step != 0) {
      for (int row = list_->currentRow() + step; row >= 0 && row < list_->count(); row += step)
        if (list_->item(row)->flags() & Qt::ItemIsEnabled) {
          list_->setCurrentRow(row);
          break;
        }
      return true;
    }
  }
  return QDialog::eventFilter(object, event);
}

} // namespace temper::gui
