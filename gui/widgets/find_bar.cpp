#include "gui/widgets/find_bar.h"

#include "gui/widgets/code_view.h"

#include <QBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>

namespace temper::gui {

FindBar::FindBar(const QString& name, QWidget* parent)
    : QWidget(parent), field_(new QLineEdit(this)), found_(new QLabel(this)) {
  field_->setObjectName(name);
  field_->setAccessibleName(tr("Search in the texts"));
  field_->setPlaceholderText(tr("search in every text; Enter and F3 go on"));
  field_->setClearButtonEnabled(true);
  found_->setTextFormat(Qt::RichText);
  found_->setTextInteractionFlags(Qt::LinksAccessibleByMouse | Qt::LinksAccessibleByKeyboard);
  found_->setFocusPolicy(Qt::ClickFocus); // Enter in the field goes there, too
  found_->setWordWrap(true);
  found_->setProperty("faint", true);
  found_->setVisible(false);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(12, 6, 12, 6);
  layout->setSpacing(4);
  layout->addWidget(field_);
  layout->addWidget(found_);
  setVisible(false);
  field_->installEventFilter(this);
  connect(field_, &QLineEdit::textChanged, this, &FindBar::wordsChanged);
  connect(found_, &QLabel::linkActivated, this, &FindBar::linkChosen);
}

void FindBar::open() {
  setVisible(true);
  field_->setFocus(Qt::ShortcutFocusReason);
  field_->selectAll();
}

QString FindBar::words() const { return isVisibleTo(parentWidget()) ? field_->text() : QString(); }

void FindBar::setFound(const QString& sentence) {
  found_->setText(sentence);
  found_->setVisible(!sentence.isEmpty());
}

QString FindBar::found() const { return found_->text(); }

bool FindBar::eventFilter(QObject* object, QEvent* event) {
  if (object == field_ && event->type() == QEvent::KeyPress) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) {
      emit wanted(!key->modifiers().testFlag(Qt::ShiftModifier));
      return true;
    }
    if (key->key() == Qt::Key_Escape) {
      setVisible(false);
      emit closed();
      return true;
    }
  }
  return QWidget::eventFilter(object, event);
}

int FindBar::findInTurn(const std::vector<CodeView*>& views, int at, const QString& words,
                        bool forward) {
  const auto count = static_cast<int>(views.size());
  const auto view = [&](int i) { return views[static_cast<size_t>(i)]; };
  if (view(at)->find(words, forward, false))
    return at;
  for (int step = 1; step <= count; ++step) { // the last is where it began
    const int i = ((at + (forward ? step : -step)) % count + count) % count;
    if (view(i)->findFromEdge(words, forward))
      return i;
  }
  return -1;
}

} // namespace temper::gui
