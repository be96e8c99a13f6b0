#include "gui/widgets/code_view.h"

#include "gui/widgets/theme.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QEvent>
#include <QScrollBar>

#include <Qsci/qscilexercustom.h>
#include <Qsci/qsciscintilla.h>
#include <Qsci/qscistyle.h>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {
constexpr int kTab = 8;
constexpr int kHeatSteps = 8;
constexpr int kHeatStyle = 40;  ///< the first of kHeatSteps + 1 that no lexer uses
constexpr int kHeatLetters = 6; ///< "≤1.2M"
} // namespace

/// Words, numbers, strings, comments and labels of all kinds of text; enough to read by.
class CodeLexer : public QsciLexerCustom {
public:
  enum Style { kPlain, kKeyword, kNumber, kString, kComment, kLabel, kLongComment };

  explicit CodeLexer(QObject* parent) : QsciLexerCustom(parent) {}

  /// Nothing: words that are no program.
  void setLevel(std::optional<CodeLevel> level) {
    plain_ = !level;
    level_ = level.value_or(CodeLevel::kTrace);
  }
  bool isPlain() const { return plain_; }
  const char* language() const override { return "temper"; }
  QString description(int style) const override {
    static const char* const names[] = {"plain",   "keyword", "number",      "string",
                                        "comment", "label",   "long comment"};
    return style >= kPlain && style <= kLongComment ? QString::fromLatin1(names[style]) : QString();
  }

  void styleText(int start, int end) override {
    QsciScintilla* view = editor();
    if (!view)
      return;
    // Whole lines, so that a comment is seen from its start.
    const auto line = view->SendScintilla(QsciScintilla::SCI_LINEFROMPOSITION, start);
    start = static_cast<int>(view->SendScintilla(QsciScintilla::SCI_POSITIONFROMLINE, line));
    QByteArray text(end - start + 1, '\0');
    view->SendScintilla(QsciScintilla::SCI_GETTEXTRANGE, start, end, text.data());
    text.chop(1);
    startStyling(start);
    if (plain_) {
      setStyling(static_cast<int>(text.size()), kPlain);
      return;
    }
    // One of several lines goes on where the line before ended in it.
    int i = 0;
    if (start > 0 && view->SendScintilla(QsciScintilla::SCI_GETSTYLEAT, start - 1) == kLongComment)
      i = endOfLongComment(text, 0);
    setStyling(i, kLongComment);
    while (i < text.size()) {
      const auto [length, style] = token(text, i);
      setStyling(length, style);
      i += length;
    }
  }

private:
  bool isPython() const { return level_ <= CodeLevel::kTir; }

  /// Behind the "*/" of the comment that `from` is in.
  static int endOfLongComment(const QByteArray& text, int from) {
    const auto end = text.indexOf("*/", from);
    return static_cast<int>(end < 0 ? text.size() : end + 2);
  }

  /// AMD's assembly has comments behind a semicolon; one that ends a statement of PTX follows it
  /// without a blank.
  bool startsComment(const QByteArray& text, int i) const {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    switch (level_) {
    case CodeLevel::kLlvm:
      return text[i] == ';';
    case CodeLevel::kCuda:
      return text[i] == '/' && next == '/';
    case CodeLevel::kPtx:
      return (text[i] == '/' && next == '/') ||
             (text[i] == ';' &&
              (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t' || text[i - 1] == '\n'));
    default:
      return text[i] == '#';
    }
  }

  std::pair<int, int> token(const QByteArray& text, int i) const {
    const auto isWord = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || (c & 0x80);
    };
    const char c = text[i];
    int end = i + 1;
    if (level_ == CodeLevel::kCuda && c == '/' && end < text.size() && text[end] == '*')
      return {endOfLongComment(text, i + 2) - i, kLongComment};
    if (level_ == CodeLevel::kCuda && c == '#') { // "#define"
      while (end < text.size() && isWord(text[end]))
        ++end;
      return {end - i, kKeyword};
    }
    if (startsComment(text, i)) {
      while (end < text.size() && text[end] != '\n')
        ++end;
      return {end - i, kComment};
    }
    if (c == '"' || (isPython() && c == '\'')) {
      while (end < text.size() && text[end] != c && text[end] != '\n')
        ++end;
      end = std::min<int>(end + 1, static_cast<int>(text.size()));
      return {end - i, kString};
    }
    const bool startsWord = i == 0 || !isWord(text[i - 1]);
    if (startsWord && c >= '0' && c <= '9') {
      while (end < text.size() && (isWord(text[end]) || text[end] == '.'))
        ++end;
      return {end - i, kNumber};
    }
    if (isWord(c) || c == '.') {
      const bool dots = !isPython() && level_ != CodeLevel::kCuda; // a part of words
      while (end < text.size() && (isWord(text[end]) || (dots && text[end] == '.')))
        ++end;
      const QByteArray word = text.mid(i, end - i);
      const bool twice = end + 1 < text.size() && text[end + 1] == ':'; // ".shared::cta"
      if (dots && end < text.size() && text[end] == ':' && !twice)
        return {end - i, kLabel};
      return {end - i, isKeyword(text, i, word) ? kKeyword : kPlain};
    }
    return {1, kPlain};
  }

  bool isKeyword(const QByteArray& text, int at, const QByteArray& word) const {
    if (isPython()) {
      static const QList<QByteArray> words{"for",   "in",     "with", "def",    "if",    "else",
                                           "while", "return", "True", "False",  "None",  "and",
                                           "or",    "not",    "from", "import", "class", "as"};
      return words.contains(word);
    }
    if (level_ == CodeLevel::kLlvm) {
      static const QList<QByteArray> words{
          "define", "declare", "br",   "label", "phi",   "load",   "store", "getelementptr",
          "ret",    "call",    "tail", "add",   "fadd",  "fmul",   "mul",   "icmp",
          "fcmp",   "select",  "sub",  "shl",   "sext",  "zext",   "trunc", "bitcast",
          "align",  "to",      "x",    "ptr",   "float", "double", "void",  "inbounds"};
      return words.contains(word);
    }
    if (level_ == CodeLevel::kCuda) {
      static const QList<QByteArray> words{"for",
                                           "if",
                                           "else",
                                           "while",
                                           "return",
                                           "const",
                                           "void",
                                           "float",
                                           "double",
                                           "int",
                                           "unsigned",
                                           "char",
                                           "bool",
                                           "long",
                                           "short",
                                           "struct",
                                           "static",
                                           "inline",
                                           "extern",
                                           "template",
                                           "typename",
                                           "__global__",
                                           "__device__",
                                           "__shared__",
                                           "__restrict__",
                                           "__launch_bounds__",
                                           "__syncthreads",
                                           "asm",
                                           "volatile",
                                           "half",
                                           "do",
                                           "break",
                                           "continue",
                                           "switch",
                                           "case",
                                           "auto",
                                           "constexpr",
                                           "using",
                                           "true",
                                           "false",
                                           "__constant__",
                                           "__forceinline__"};
      return words.contains(word);
    }
    // The mnemonic: the first word of a line.
    int i = at - 1;
    while (i >= 0 && (text[i] == ' ' || text[i] == '\t'))
      --i;
    return i < 0 || text[i] == '\n';
  }

  CodeLevel level_ = CodeLevel::kTrace;
  bool plain_ = false;
};

CodeView::CodeView(QWidget* parent)
    : QWidget(parent), editor_(new QsciScintilla(this)), lexer_(new CodeLexer(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(editor_);
  setFocusProxy(editor_);
  editor_->setObjectName(QStringLiteral("code"));
  editor_->setAccessibleName(tr("Code"));
  editor_->setReadOnly(true);
  editor_->setUtf8(true);
  editor_->setFrameShape(QFrame::NoFrame);
  editor_->setLexer(lexer_);
  editor_->setWrapMode(QsciScintilla::WrapNone);
  editor_->setCaretLineVisible(true);
  editor_->SendScintilla(QsciScintilla::SCI_SETCARETSTYLE, QsciScintilla::CARETSTYLE_INVISIBLE);
  editor_->SendScintilla(QsciScintilla::SCI_SETSCROLLWIDTHTRACKING, 1); // for wider letters
  editor_->SendScintilla(QsciScintilla::SCI_SETMARGINLEFT, 0, 8);
  editor_->setMarginType(1, QsciScintilla::TextMargin);
  editor_->setMarginWidth(1, 0);
  editor_->setTabWidth(kTab);
  marker_[0] = editor_->markerDefine(QsciScintilla::Background);
  marker_[1] = editor_->markerDefine(QsciScintilla::Background);
  restyle();
  connect(editor_, &QsciScintilla::textChanged, this, [this] {
    if (!setting_)
      emit edited();
  });
  connect(editor_, &QsciScintilla::cursorPositionChanged, this, [this](int line, int column) {
    if (!setting_)
      emit cursorMoved(line, editor_->wordAtLineIndex(line, column));
  });
}

void CodeView::setEditable(bool editable) {
  editor_->setReadOnly(!editable);
  editor_->SendScintilla(QsciScintilla::SCI_SETCARETSTYLE,
                         editable ? QsciScintilla::CARETSTYLE_LINE
                                  : QsciScintilla::CARETSTYLE_INVISIBLE);
  editor_->setCaretForegroundColor(theme().text);
}

int CodeView::currentLine() const {
  int line = 0, column = 0;
  editor_->getCursorPosition(&line, &column);
  return line;
}

void CodeView::markLines(int line, int last) {
  editor_->markerDeleteAll(marker_[0]);
  if (line < 0)
    return;
  for (int i = line; i <= last; ++i)
    editor_->markerAdd(i, marker_[0]);
  setting_ = true; // nobody moved the cursor
  editor_->ensureLineVisible(line);
  const int first = editor_->firstVisibleLine();
  const auto lines = static_cast<int>(editor_->SendScintilla(QsciScintilla::SCI_LINESONSCREEN));
  if (line < first || line >= first + lines)
    editor_->setFirstVisibleLine(std::max(0, line - lines / 3));
  setting_ = false;
}

void CodeView::changeEvent(QEvent* event) {
  QWidget::changeEvent(event);
  if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
    restyle();
}

void CodeView::restyle() {
  const Theme& t = theme();
  const QFont font = fixedFont();
  lexer_->setDefaultFont(font);
  lexer_->setDefaultPaper(t.base);
  lexer_->setDefaultColor(t.text);
  lexer_->setFont(font);
  lexer_->setPaper(t.base);
  const QColor colors[] = {t.text, t.keyword, t.number, t.string, t.comment, t.label, t.comment};
  for (int style = CodeLexer::kPlain; style <= CodeLexer::kLongComment; ++style)
    lexer_->setColor(colors[style], style);
  editor_->setPaper(t.base);
  editor_->setColor(t.text);
  editor_->setCaretForegroundColor(t.text);
  editor_->setCaretLineBackgroundColor(t.alternate);
  editor_->setMarginsBackgroundColor(t.base);
  editor_->setMarginsForegroundColor(t.faint);
  editor_->setMarginsFont(font);
  editor_->setSelectionBackgroundColor(QApplication::palette().color(QPalette::Highlight));
  editor_->setSelectionForegroundColor(t.text);
  editor_->setMarkerBackgroundColor(t.changedLine, marker_[0]);
  editor_->setMarkerBackgroundColor(t.addedLine, marker_[1]);
  showHeat();
}

void CodeView::setHeat(std::vector<LineHeat> heat) {
  heat_ = std::move(heat);
  showHeat();
}

void CodeView::showHeat() {
  editor_->clearMarginText();
  const bool any =
      std::any_of(heat_.begin(), heat_.end(), [](const LineHeat& line) { return line.share > 0; });
  if (!any) {
    editor_->setMarginWidth(1, 0);
    return;
  }
  const Theme& t = theme();
  std::vector<QsciStyle> styles;
  for (int step = 0; step <= kHeatSteps; ++step)
    styles.emplace_back(kHeatStyle + step, QString(), step == 0 ? t.faint : t.text,
                        step == 0 ? t.base : t.tint(-static_cast<double>(step) / kHeatSteps),
                        fixedFont());
  for (size_t i = 0; i < heat_.size(); ++i) {
    const LineHeat& line = heat_[i];
    if (!(line.runs > 0))
      continue;
    const auto step = static_cast<size_t>(std::lround(line.share * kHeatSteps));
    // Said where it changes; the shade goes on.
    const bool same = i > 0 && heat_[i - 1].runs == line.runs;
    const QString words =
        same ? QString() : (line.atMost ? QStringLiteral("≤") : QString()) + runsText(line.runs);
    editor_->setMarginText(static_cast<int>(i), words.rightJustified(kHeatLetters) + u' ',
                           styles[step]);
  }
  editor_->setMarginWidth(1, QString(kHeatLetters + 1, u'0'));
}

void CodeView::setCode(const QString& text, CodeLevel level) { showLines(text, level); }

void CodeView::setPlain(const QString& text) { showLines(text, std::nullopt); }

bool CodeView::isColoured() const { return !lexer_->isPlain(); }

QString CodeView::kindAt(int line, int column) const {
  editor_->SendScintilla(QsciScintilla::SCI_COLOURISE, 0UL, -1L);
  return lexer_->description(static_cast<int>(editor_->SendScintilla(
      QsciScintilla::SCI_GETSTYLEAT, editor_->positionFromLineIndex(line, column))));
}

int CodeView::lineCount() const { return editor_->lines(); }

void CodeView::showLines(const QString& text, std::optional<CodeLevel> level) {
  isMessage_ = false;
  kinds_.clear();
  setHeat({});
  lexer_->setLevel(level);
  editor_->markerDeleteAll();
  showText(text);
  editor_->setMarginLineNumbers(0, true);
  editor_->setMarginWidth(0, QString::number(std::max(100, editor_->lines())) + u'0');
}

void CodeView::showText(const QString& text) {
  setting_ = true;
  // Somebody who writes wants the line after the last one.
  endsLine_ = editor_->isReadOnly() && text.endsWith(u'\n');
  editor_->setText(endsLine_ ? text.chopped(1) : text);
  setting_ = false;
  // As wide as the longest line, known before anything is painted: the scroll bar is right at once.
  int widest = 1;
  int column = 0;
  for (const QChar c : text) {
    column = c == u'\n' ? 0 : c == u'\t' ? (column / kTab + 1) * kTab : column + 1;
    widest = std::max(widest, column);
  }
  const auto letter = editor_->SendScintilla(QsciScintilla::SCI_TEXTWIDTH, CodeLexer::kPlain, "0");
  editor_->SendScintilla(QsciScintilla::SCI_SETSCROLLWIDTH,
                         static_cast<unsigned long>((widest + 1) * letter));
}

void CodeView::setMessage(const QString& sentence) {
  isMessage_ = true;
  kinds_.clear();
  setHeat({});
  lexer_->setLevel(CodeLevel::kTrace);
  editor_->markerDeleteAll();
  editor_->setMarginWidth(0, 0);
  showText(sentence.isEmpty() ? sentence : QStringLiteral("# ") + sentence);
}

void CodeView::setDiff(const SideBySide& diff, bool right, std::optional<CodeLevel> level) {
  isMessage_ = false;
  setHeat({});
  lexer_->setLevel(level);
  kinds_ = diff.kinds;
  editor_->markerDeleteAll();
  editor_->setMarginWidth(0, 0);
  showText((right ? diff.right : diff.left).join(u'\n'));
  for (size_t i = 0; i < kinds_.size(); ++i) {
    const DiffLine::Kind kind = kinds_[i];
    if (kind == DiffLine::Kind::kChanged)
      editor_->markerAdd(static_cast<int>(i), marker_[0]);
    else if (kind == (right ? DiffLine::Kind::kOnlyRight : DiffLine::Kind::kOnlyLeft))
      editor_->markerAdd(static_cast<int>(i), marker_[1]);
  }
}

QString CodeView::text() const { return endsLine_ ? editor_->text() + u'\n' : editor_->text(); }

void CodeView::join(CodeView* a, CodeView* b) {
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    QObject::connect(from->editor_->verticalScrollBar(), &QScrollBar::valueChanged, to->editor_,
                     [to = to->editor_](int value) { to->verticalScrollBar()->setValue(value); });
    QObject::connect(from->editor_->horizontalScrollBar(), &QScrollBar::valueChanged, to->editor_,
                     [to = to->editor_](int value) { to->horizontalScrollBar()->setValue(value); });
  }
}

bool CodeView::showDifference(bool forward) {
  int line = 0, column = 0;
  editor_->getCursorPosition(&line, &column);
  const int count = static_cast<int>(kinds_.size());
  const auto differs = [&](int at) {
    return at >= 0 && at < count && kinds_[static_cast<size_t>(at)] != DiffLine::Kind::kSame;
  };
  const int step = forward ? 1 : -1;
  int at = line;
  while (differs(at)) // out of the group that the cursor is in
    at += step;
  while (at >= 0 && at < count && !differs(at))
    at += step;
  if (!differs(at))
    return false;
  while (!forward && differs(at - 1)) // to the group's first line
    --at;
  editor_->setCursorPosition(at, 0);
  editor_->setFirstVisibleLine(std::max(0, at - 5));
  return true;
}

bool CodeView::find(const QString& text, bool forward, bool wrap) {
  if (text.isEmpty())
    return false;
  int line = -1, column = -1;
  if (!forward) {
    int toLine = 0, toColumn = 0;
    editor_->getSelection(&line, &column, &toLine, &toColumn);
  }
  return editor_->findFirst(text, false, false, false, wrap, forward, line, column, true);
}

bool CodeView::findFromEdge(const QString& text, bool forward) {
  const int last = editor_->lines() - 1;
  return !text.isEmpty() &&
         (forward ? editor_->findFirst(text, false, false, false, false, true, 0, 0, true)
                  : editor_->findFirst(text, false, false, false, false, false, last,
                                       editor_->lineLength(last), true));
}

void CodeView::copyAll() const { QApplication::clipboard()->setText(text()); }

} // namespace temper::gui
