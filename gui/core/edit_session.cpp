#include "gui/core/edit_session.h"

#include "gui/core/format.h"

#include <QRegularExpression>

#include <algorithm>

namespace temper::gui {

namespace {

double numberOf(const Json& answer, const char* name) {
  const auto entry = answer.find(name);
  return entry != answer.end() && entry->is_number() ? entry->get<double>() : 0;
}

QString textOf(const Json& answer, const char* name) {
  const auto entry = answer.find(name);
  return entry != answer.end() && entry->is_string() ? toQString(entry->get<std::string>())
                                                     : QString();
}

/// Median and interval of an answer.
void takeTime(const Json& answer, EditNode& node) {
  node.medianNs = numberOf(answer, "median_ns");
  const auto interval = answer.find("interval_ns");
  if (interval != answer.end() && interval->is_array() && interval->size() == 2 &&
      (*interval)[0].is_number() && (*interval)[1].is_number()) {
    node.lowNs = (*interval)[0].get<double>();
    node.highNs = (*interval)[1].get<double>();
  }
}

} // namespace

// ---- The tree of schedules

void EditHistory::clear() {
  beginResetModel();
  nodes_.clear();
  current_ = -1;
  endResetModel();
}

void EditHistory::add(EditNode node) {
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].parent == current_ && nodes_[i].trace == node.trace) {
      goTo(static_cast<int>(i));
      return;
    }
  node.parent = current_;
  const int row = rowCount();
  beginInsertRows({}, row, row);
  nodes_.push_back(std::move(node));
  endInsertRows();
  goTo(row);
}

bool EditHistory::amend(const EditNode& node) {
  if (!current() || current()->isMeasured() ||
      std::any_of(nodes_.begin(), nodes_.end(),
                  [this](const EditNode& other) { return other.parent == current_; }))
    return false;
  const int parent = current()->parent;
  nodes_[at(current_)] = node;
  nodes_[at(current_)].parent = parent;
  emit dataChanged(index(current_, 0), index(current_, kColumns - 1));
  return true;
}

void EditHistory::goTo(int row) {
  if (row < 0 || row >= rowCount())
    return;
  current_ = row;
  for (int child = row; nodes_[at(child)].parent >= 0; child = nodes_[at(child)].parent)
    nodes_[at(nodes_[at(child)].parent)].redo = child;
  emit dataChanged(index(0, 0), index(rowCount() - 1, kColumns - 1));
  emit currentChanged();
}

void EditHistory::restore(std::vector<EditNode> nodes, int current) {
  beginResetModel();
  nodes_ = std::move(nodes);
  current_ = current;
  endResetModel();
  emit currentChanged();
}

void EditHistory::changed(int row, const EditNode& node) {
  nodes_[at(row)] = node;
  emit dataChanged(index(row, 0), index(row, kColumns - 1));
}

int EditHistory::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(nodes_.size());
}

int EditHistory::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant EditHistory::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const EditNode& node = nodes_[at(index.row())];
  if (role == Qt::TextAlignmentRole)
    return QVariant((index.column() >= kEstimate ? Qt::AlignRight : Qt::AlignLeft) |
                    Qt::AlignVCenter);
  if (role == Qt::ToolTipRole)
    return node.reason.isEmpty() ? node.label : node.reason;
  if (role == Qt::EditRole && index.column() == kStep)
    return node.name;
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
  case kNumber: {
    // What does not go on from the line above says where it comes from.
    QString text = (index.row() == current_ ? QStringLiteral("▸ ") : QStringLiteral("   ")) +
                   QString::number(index.row());
    if (node.parent >= 0 && node.parent != index.row() - 1)
      text += QStringLiteral(" ← %1").arg(node.parent);
    return text;
  }
  case kStep:
    return node.name.isEmpty() ? node.label : node.name + QStringLiteral(" — ") + node.label;
  case kEstimate:
    return node.estimateNs > 0 ? timeText(node.estimateNs) : QString();
  case kTime:
    return node.medianNs > 0 ? timeText(node.medianNs) : node.outcome;
  case kRatio: {
    const double start = nodes_.front().medianNs;
    return index.row() > 0 && start > 0 && node.medianNs > 0
               ? QStringLiteral("%1×").arg(node.medianNs / start, 0, 'f', 3)
               : QString();
  }
  default:
    return {};
  }
}

QVariant EditHistory::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"#", "step", "estimate", "measured", "of 0"};
  if (orientation != Qt::Horizontal || section < 0 || section >= kColumns)
    return {};
  if (role == Qt::DisplayRole)
    return QString::fromLatin1(titles[section]);
  if (role == Qt::TextAlignmentRole)
    return QVariant((section >= kEstimate ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
  return {};
}

Qt::ItemFlags EditHistory::flags(const QModelIndex& index) const {
  const Qt::ItemFlags flags = QAbstractTableModel::flags(index);
  return index.column() == kStep ? flags | Qt::ItemIsEditable : flags;
}

bool EditHistory::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid() || role != Qt::EditRole || index.column() != kStep ||
      index.row() >= rowCount())
    return false;
  nodes_[at(index.row())].name = value.toString().trimmed();
  emit dataChanged(index, index);
  return true;
}

// ---- The session

QString EditSession::Step::text() const {
  if (lines.isEmpty())
    return primitive;
  // Getters of names may stand before; what it does is in the last line. What goes without saying
  // is left out: the keywords that every use has, and defaults.
  QString last = lines.trimmed().section(u'\n', -1);
  last = last.mid(last.indexOf(QStringLiteral("sch.")) + 4);
  static const QRegularExpression defaults(
      QStringLiteral(", (preserve_unit_iters=True|disable_predication=False|"
                     "preserve_unit_loops=False|index=-1)"));
  static const QRegularExpression keywords(
      QStringLiteral("\\b(block_or_loop|loop|block|target|factors|ann_key|ann_val)="));
  return last.remove(defaults).remove(keywords);
}

EditSession::EditSession(QString database, QObject* parent)
    : QObject(parent), looking_(database), measuring_(database), history_(this) {}

void EditSession::open(const QString& record) {
  begin(Json{{"do", "open"}, {"record", record.toStdString()}});
}

void EditSession::openWith(const EditProposal& proposal) {
  begin(Json{{"do", "open"}, {"record", proposal.record.toStdString()}}, proposal);
}

void EditSession::openWorkload(const QString& name, const QString& parameters) {
  Json values = Json::object();
  for (const QString& word : parameters.split(u' ', Qt::SkipEmptyParts))
    values[word.section(u'=', 0, 0).toStdString()] = word.section(u'=', 1).toStdString();
  begin(Json{{"do", "open"}, {"workload", name.toStdString()}, {"parameters", std::move(values)}});
}

void EditSession::begin(Json request, const EditProposal& step) {
  looking_.ask(QStringLiteral("open"), std::move(request),
               [this, step](const Json& answer, const QString& error) {
                 if (!error.isEmpty()) {
                   emit said(error, true);
                   return;
                 }
                 looking_.forget(QStringLiteral("program"));
                 looking_.forget(QStringLiteral("steps"));
                 looking_.forget(QStringLiteral("knobs"));
                 knobs_.clear();
                 measuring_.forget(QStringLiteral("measure"));
                 subject_ = answer["subject"];
                 title_ = textOf(answer, "title");
                 startRecord_ = textOf(answer, "record");
                 if (!hasLevel(target(), level_)) // the one before was for another kind of device
                   level_ = CodeLevel::kScript;
                 forgetSweep();
                 locked_.clear();
                 place_ = -1;
                 places_.clear();
                 steps_.clear();
                 text_.clear();
                 typing_ = false;
                 EditNode node;
                 node.label = startRecord_.isEmpty() ? tr("as it is written")
                                                     : tr("record %1").arg(shortId(startRecord_));
                 node.trace = textOf(answer, "trace");
                 node.record = startRecord_;
                 node.candidate = textOf(answer, "candidate");
                 node.outcome = textOf(answer, "outcome");
                 takeTime(answer, node);
                 resting_ = false;
                 history_.clear();
                 history_.add(std::move(node));
                 if (!step.trace.isEmpty()) {
                   EditNode taken;
                   taken.label = step.label;
                   taken.trace = step.trace;
                   history_.add(std::move(taken));
                 }
                 emit opened();
                 emit measuringChanged();
                 showCurrent();
               });
}

Json EditSession::kept() const {
  if (!isOpen())
    return {};
  Json nodes = Json::array();
  for (const EditNode& node : history_.nodes())
    nodes.push_back(Json{{"parent", node.parent},
                         {"label", node.label.toStdString()},
                         {"name", node.name.toStdString()},
                         {"trace", node.trace.toStdString()},
                         {"estimate_ns", node.estimateNs},
                         {"record", node.record.toStdString()},
                         {"candidate", node.candidate.toStdString()},
                         {"outcome", node.outcome.toStdString()},
                         {"reason", node.reason.toStdString()},
                         {"median_ns", node.medianNs},
                         {"interval_ns", {node.lowNs, node.highNs}},
                         {"redo", node.redo}});
  Json locked = Json::array();
  for (const QString& name : locked_)
    locked.push_back(name.toStdString());
  return Json{{"subject", subject_},
              {"title", title_.toStdString()},
              {"record", startRecord_.toStdString()},
              {"nodes", std::move(nodes)},
              {"current", history_.currentRow()},
              {"locked", std::move(locked)}};
}

bool EditSession::restore(const Json& kept) {
  const auto rowIn = [](const Json& json, const char* name) {
    const auto entry = json.find(name);
    return entry != json.end() && entry->is_number_integer() ? entry->get<int64_t>() : -2;
  };
  if (!kept.is_object() || !kept.contains("subject") || !kept["subject"].is_object() ||
      !kept.contains("nodes") || !kept["nodes"].is_array() || kept["nodes"].empty())
    return false;
  const auto count = static_cast<int64_t>(kept["nodes"].size());
  std::vector<EditNode> nodes;
  for (const Json& entry : kept["nodes"]) {
    if (!entry.is_object())
      return false;
    const auto row = static_cast<int64_t>(nodes.size());
    const int64_t parent = rowIn(entry, "parent"), redo = rowIn(entry, "redo");
    // The first has none, and each other's came before it.
    if (parent < -1 || parent >= row || (parent == -1) != (row == 0) || redo < -1 || redo >= count)
      return false;
    EditNode node;
    node.parent = static_cast<int>(parent);
    node.redo = static_cast<int>(redo);
    node.label = textOf(entry, "label");
    node.name = textOf(entry, "name");
    node.trace = textOf(entry, "trace");
    node.estimateNs = numberOf(entry, "estimate_ns");
    node.record = textOf(entry, "record");
    node.candidate = textOf(entry, "candidate");
    node.outcome = textOf(entry, "outcome");
    node.reason = textOf(entry, "reason");
    takeTime(entry, node);
    nodes.push_back(std::move(node));
  }
  for (size_t row = 0; row < nodes.size(); ++row)
    if (const int redo = nodes[row].redo;
        redo >= 0 && nodes[static_cast<size_t>(redo)].parent != static_cast<int>(row))
      return false;
  const int64_t current = rowIn(kept, "current");
  if (current < 0 || current >= count)
    return false;
  subject_ = kept["subject"];
  title_ = textOf(kept, "title");
  startRecord_ = textOf(kept, "record");
  locked_.clear();
  for (const Json& name : kept.value("locked", Json::array()))
    if (name.is_string())
      locked_ << toQString(name.get<std::string>());
  trace_ = nodes[static_cast<size_t>(current)].trace;
  resting_ = true;
  history_.restore(std::move(nodes), static_cast<int>(current));
  emit programChanged();
  return true;
}

void EditSession::wake() {
  if (std::exchange(resting_, false))
    showCurrent();
}

void EditSession::look(const QString& trace, std::function<void(const Json&)> accepted) {
  looking_.forget(QStringLiteral("steps"));
  looking_.forget(QStringLiteral("knobs"));
  looking_.ask(QStringLiteral("program"),
               Json{{"do", "program"},
                    {"subject", subject_},
                    {"trace", trace.toStdString()},
                    {"level", levelOption(level_).mid(2).toStdString()},
                    {"estimate", true}},
               [this, accepted = std::move(accepted)](const Json& answer, const QString& error) {
                 error_ = error;
                 if (error.isEmpty())
                   accepted(answer);
                 emit programChanged();
               });
  emit programChanged();
}

void EditSession::show(const Json& answer) {
  const std::optional<Place> before =
      place_ >= 0 ? std::optional(places_[static_cast<size_t>(place_)]) : std::nullopt;
  text_ = textOf(answer, "text");
  tile_ = answer.value("knobs", false);
  places_.clear();
  for (const Json& place : answer["places"])
    places_.push_back({textOf(place, "text"), textOf(place, "name"), place.value("depth", 0),
                       place.value("block", false)});
  decisions_.clear();
  for (const Json& made : answer.value("decisions", Json::array())) {
    Decision decision;
    for (const Json& name : made.value("names", Json::array()))
      if (name.is_string())
        decision.names << toQString(name.get<std::string>());
    decision.step = textOf(made, "step");
    decision.value = textOf(made, "value");
    decision.canSweep = made.value("sweep", false);
    decision.locked = !decision.names.isEmpty() && locked_.contains(decision.names.front());
    decisions_.push_back(std::move(decision));
  }
  emit decisionsChanged();
  if (level_ == CodeLevel::kScript) {
    script_ = text_;
    scriptLines_ = linesOfPlaces();
    scriptOf_ = trace_;
  }
  // What one was at is found again by what it is, else by its name.
  const auto found = [&](const auto& same) {
    const auto it = std::find_if(places_.begin(), places_.end(), same);
    return it == places_.end() ? -1 : static_cast<int>(it - places_.begin());
  };
  if (before) {
    const bool stays = place_ < static_cast<int>(places_.size()) &&
                       places_[static_cast<size_t>(place_)] == *before;
    if (!stays)
      place_ = found([&](const Place& place) { return place == *before; });
    if (place_ < 0)
      place_ = found([&](const Place& place) {
        return place.name == before->name && place.isBlock == before->isBlock;
      });
  }
  if (place_ >= static_cast<int>(places_.size()))
    place_ = -1;
  askSteps();
  if (tile_)
    askKnobs();
  else if (!knobs_.empty()) {
    knobs_.clear();
    emit knobsChanged();
  }
}

int EditSession::Knob::chosen() const {
  for (size_t i = 0; i < choices.size(); ++i)
    if (choices[i].current)
      return static_cast<int>(i);
  return -1;
}

namespace {

EditSession::SweepPoint pointOf(const Json& value) {
  EditSession::SweepPoint point;
  point.value = textOf(value, "value");
  point.trace = textOf(value, "trace");
  point.reason = textOf(value, "reason");
  point.current = value.value("current", false);
  point.estimateNs = numberOf(value, "estimate_ns");
  return point;
}

} // namespace

void EditSession::askKnobs() {
  // What the decisions say shows at once, estimates follow.
  std::vector<Knob> now;
  for (const Decision& decision : decisions_) {
    Knob knob;
    knob.name = decision.names.join(QStringLiteral(", "));
    for (const Knob& known : knobs_)
      if (known.name == knob.name)
        knob.choices = known.choices;
    bool listed = false;
    for (SweepPoint& choice : knob.choices) {
      choice.current = choice.value == decision.value;
      choice.estimateNs = 0;
      listed = listed || choice.current;
    }
    if (!listed)
      knob.choices = {{decision.value, {}, {}, true}};
    now.push_back(std::move(knob));
  }
  knobs_ = std::move(now);
  emit knobsChanged();
  looking_.ask(QStringLiteral("knobs"),
               Json{{"do", "knobs"},
                    {"subject", subject_},
                    {"trace", history_.current()->trace.toStdString()}},
               [this](const Json& answer, const QString& error) {
                 if (!error.isEmpty()) {
                   emit said(error.section(u'\n', 0, 0), true);
                   return;
                 }
                 knobs_.clear();
                 for (const Json& entry : answer.value("knobs", Json::array())) {
                   Knob knob;
                   knob.name = textOf(entry, "name");
                   for (const Json& choice : entry.value("choices", Json::array()))
                     knob.choices.push_back(pointOf(choice));
                   knobs_.push_back(std::move(knob));
                 }
                 emit knobsChanged();
               });
}

void EditSession::takeKnob(int knob, int choice) {
  if (knob < 0 || knob >= static_cast<int>(knobs_.size()) || choice < 0 ||
      choice >= static_cast<int>(knobs_[static_cast<size_t>(knob)].choices.size()) ||
      !error_.isEmpty())
    return;
  const Knob turned = knobs_[static_cast<size_t>(knob)];
  const SweepPoint point = turned.choices[static_cast<size_t>(choice)];
  if (point.trace.isEmpty() && !point.current) {
    emit said(point.reason, true);
    emit knobsChanged(); // what shows goes back
    return;
  }
  if (point.current)
    return;
  forgetSweep();
  take(point, turned.name);
}

void EditSession::take(const SweepPoint& point, const QString& name) {
  EditNode node;
  node.label = name.isEmpty() ? point.value : name + QStringLiteral(" = ") + point.value;
  node.trace = point.trace;
  node.estimateNs = point.estimateNs;
  typing_ = false;
  history_.add(std::move(node));
  showCurrent();
}

void EditSession::showCurrent() {
  const EditNode* node = history_.current();
  if (!node)
    return;
  resting_ = false;
  trace_ = node->trace;
  look(trace_, [this, row = history_.currentRow()](const Json& answer) {
    EditNode seen = history_.nodes()[static_cast<size_t>(row)];
    seen.estimateNs = numberOf(answer, "estimate_ns");
    if (answer.value("knobs", false) && seen.trace.isEmpty()) {
      // The program as it is written has a value for each knob.
      seen.trace = textOf(answer, "trace");
      trace_ = seen.trace;
    }
    history_.changed(row, seen);
    show(answer);
  });
}

QString EditSession::target() const {
  return subject_.is_object() ? textOf(subject_, "target") : QString();
}

void EditSession::setLevel(CodeLevel level) {
  if (level == level_ || level == CodeLevel::kTrace || !hasLevel(target(), level))
    return;
  level_ = level;
  text_.clear();
  if (isOpen())
    look(trace_, [this](const Json& answer) { show(answer); });
}

void EditSession::selectPlace(int place) {
  if (place == place_)
    return;
  place_ = place < static_cast<int>(places_.size()) ? place : -1;
  askSteps();
}

void EditSession::askSteps() {
  steps_.clear();
  emit stepsChanged();
  if (place_ < 0) {
    looking_.forget(QStringLiteral("steps"));
    return;
  }
  looking_.ask(QStringLiteral("steps"),
               Json{{"do", "steps"},
                    {"subject", subject_},
                    {"trace", history_.current()->trace.toStdString()},
                    {"place", place_},
                    {"estimate", true}},
               [this](const Json& answer, const QString& error) {
                 if (!error.isEmpty()) {
                   emit said(error.section(u'\n', 0, 0), true);
                   return;
                 }
                 for (const Json& step : answer["legal"])
                   steps_.push_back({textOf(step, "primitive"),
                                     textOf(step, "lines"),
                                     {},
                                     numberOf(step, "estimate_ns")});
                 // What promises most comes first; what has no estimate last.
                 std::stable_sort(steps_.begin(), steps_.end(), [](const Step& a, const Step& b) {
                   return a.estimateNs > 0 && (b.estimateNs <= 0 || a.estimateNs < b.estimateNs);
                 });
                 for (const Json& step : answer["illegal"])
                   steps_.push_back({textOf(step, "primitive"), {}, textOf(step, "reason"), 0});
                 emit stepsChanged();
               });
}

void EditSession::apply(int index) {
  if (index < 0 || index >= static_cast<int>(steps_.size()) || !error_.isEmpty())
    return;
  const Step step = steps_[static_cast<size_t>(index)];
  if (step.lines.isEmpty()) {
    emit said(step.reason, true);
    return;
  }
  EditNode node;
  node.label = step.text();
  node.trace = history_.current()->trace + step.lines;
  node.estimateNs = step.estimateNs;
  typing_ = false;
  forgetSweep();
  history_.add(std::move(node));
  showCurrent();
}

void EditSession::setTrace(const QString& typed) {
  if (!isOpen() || typed == trace_)
    return;
  forgetSweep();
  trace_ = typed;
  look(typed, [this](const Json& answer) {
    EditNode node;
    node.label = tr("typed");
    node.trace = textOf(answer, "trace");
    node.estimateNs = numberOf(answer, "estimate_ns");
    if (node.trace != history_.current()->trace && !(typing_ && history_.amend(node))) {
      history_.add(std::move(node));
      typing_ = true;
    }
    show(answer);
  });
}

std::vector<int> EditSession::linesOfPlaces() const {
  std::vector<int> lines(places_.size(), -1);
  if (level_ != CodeLevel::kScript)
    return lines;
  // Text and places are in the same order; the text leaves out the root block.
  static const QRegularExpression loops(QStringLiteral("^\\s*for (.+) in "));
  static const QRegularExpression block(QStringLiteral("^\\s*with T\\.sblock\\(\"([^\"]*)\""));
  size_t next = 0;
  int number = 0;
  for (const QString& line : text_.split(u'\n')) {
    QStringList names;
    bool isBlock = false;
    if (const auto match = loops.match(line); match.hasMatch()) {
      names = match.captured(1).split(QStringLiteral(", "));
    } else if (const auto blockMatch = block.match(line); blockMatch.hasMatch()) {
      names << blockMatch.captured(1);
      isBlock = true;
    }
    for (const QString& name : names)
      for (size_t i = next; i < places_.size(); ++i)
        if (places_[i].isBlock == isBlock && places_[i].name == name) {
          lines[i] = number;
          next = i + 1;
          break;
        }
    ++number;
  }
  return lines;
}

std::vector<LineRange> EditSession::regionsOfPlaces() const {
  std::vector<LineRange> ranges(places_.size(), LineRange{-1, -1});
  if (level_ == CodeLevel::kScript) {
    const std::vector<int> lines = linesOfPlaces();
    for (size_t i = 0; i < lines.size(); ++i)
      ranges[i] = {lines[i], lines[i]};
    return ranges;
  }
  // At other levels by the script that was seen last, of this schedule.
  if (scriptOf_ != trace_)
    return ranges;
  for (size_t i = 0; i < scriptLines_.size() && i < ranges.size(); ++i)
    if (scriptLines_[i] >= 0)
      if (const auto there =
              linkedLines(script_, CodeLevel::kScript, scriptLines_[i], text_, level_))
        ranges[i] = *there;
  return ranges;
}

int EditSession::placeAt(int line, const QString& name) const {
  const std::vector<LineRange> ranges = regionsOfPlaces();
  int place = -1;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto lines = [&](size_t of) { return ranges[of].last - ranges[of].first; };
    if (ranges[i].first < 0 || line < ranges[i].first || line > ranges[i].last)
      continue;
    // Of several the smallest; of one line's the one that is named.
    if (place < 0 || lines(i) < lines(static_cast<size_t>(place)) || places_[i].name == name)
      place = static_cast<int>(i);
  }
  return place;
}

void EditSession::setLocked(int number, bool locked) {
  if (number < 0 || number >= static_cast<int>(decisions_.size()))
    return;
  Decision& decision = decisions_[static_cast<size_t>(number)];
  if (decision.locked == locked || decision.names.isEmpty())
    return;
  decision.locked = locked;
  locked_.removeAll(decision.names.front());
  if (locked)
    locked_ << decision.names.front();
  emit decisionsChanged();
}

void EditSession::forgetSweep() {
  stopSweep();
  looking_.forget(QStringLiteral("sweep"));
  swept_ = -1;
  sweep_.clear();
  emit sweepChanged();
}

void EditSession::sweep(int decision) {
  forgetSweep();
  if (decision < 0 || decision >= static_cast<int>(decisions_.size()) || !error_.isEmpty())
    return;
  swept_ = decision;
  emit sweepChanged();
  looking_.ask(QStringLiteral("sweep"),
               Json{{"do", "sweep"},
                    {"subject", subject_},
                    {"trace", history_.current()->trace.toStdString()},
                    {"decision", decision}},
               [this](const Json& answer, const QString& error) {
                 if (!error.isEmpty()) {
                   swept_ = -1;
                   emit sweepChanged();
                   emit said(error.section(u'\n', 0, 0), true);
                   return;
                 }
                 for (const Json& value : answer.value("values", Json::array()))
                   sweep_.push_back(pointOf(value));
                 takeKnownTimes();
               });
}

void EditSession::takeKnownTimes() {
  // What the tree of schedules knows already is not measured again.
  for (SweepPoint& point : sweep_)
    for (const EditNode& node : history_.nodes())
      if (node.isMeasured() && node.trace == point.trace) {
        point.outcome = node.outcome;
        point.medianNs = node.medianNs;
        point.lowNs = node.lowNs;
        point.highNs = node.highNs;
      }
  emit sweepChanged();
}

void EditSession::measureSweep() {
  if (sweeping_ || sweep_.empty() || isMeasuring())
    return;
  sweeping_ = true;
  emit sweepChanged();
  measureNextOfSweep();
}

void EditSession::stopSweep() {
  if (!std::exchange(sweeping_, false))
    return;
  measuring_.forget(QStringLiteral("measure"));
  emit sweepChanged();
  emit measuringChanged();
}

Json EditSession::sweepRequest(const SweepPoint& point) const {
  Json request{{"do", "measure"}, {"subject", subject_}, {"trace", point.trace.toStdString()}};
  if (const EditNode* node = history_.current(); node && !node->candidate.isEmpty())
    request["parent"] = node->candidate.toStdString();
  return request;
}

std::vector<Json> EditSession::sweepRequests() const {
  std::vector<Json> requests;
  for (const SweepPoint& point : sweep_)
    if (wantsMeasuring(point))
      requests.push_back(sweepRequest(point));
  return requests;
}

void EditSession::measureNextOfSweep() {
  const auto next = std::find_if(sweep_.begin(), sweep_.end(),
                                 [](const SweepPoint& point) { return wantsMeasuring(point); });
  if (!sweeping_ || next == sweep_.end()) {
    sweeping_ = false;
    emit sweepChanged();
    emit measuringChanged();
    return;
  }
  const auto index = static_cast<size_t>(next - sweep_.begin());
  measuring_.ask(QStringLiteral("measure"), sweepRequest(*next),
                 [this, index](const Json& answer, const QString& error) {
                   if (!error.isEmpty()) {
                     sweeping_ = false;
                     emit said(error.section(u'\n', 0, 0), true);
                   } else if (index < sweep_.size()) {
                     SweepPoint& point = sweep_[index];
                     EditNode measuredNode;
                     takeTime(answer, measuredNode);
                     point.outcome = textOf(answer, "outcome").replace(u'_', u' ');
                     point.medianNs = measuredNode.medianNs;
                     point.lowNs = measuredNode.lowNs;
                     point.highNs = measuredNode.highNs;
                     emit measured(textOf(answer, "record"));
                   }
                   emit sweepChanged();
                   measureNextOfSweep();
                 });
  emit measuringChanged();
}

void EditSession::takeSweep(int index) {
  if (index < 0 || index >= static_cast<int>(sweep_.size()) || !error_.isEmpty())
    return;
  const SweepPoint point = sweep_[static_cast<size_t>(index)];
  if (point.trace.isEmpty()) {
    emit said(point.reason, true);
    return;
  }
  if (point.current)
    return;
  const QString name =
      swept_ >= 0 && swept_ < static_cast<int>(decisions_.size())
          ? decisions_[static_cast<size_t>(swept_)].names.join(QStringLiteral(", "))
          : QString();
  for (SweepPoint& other : sweep_)
    other.current = other.value == point.value;
  emit sweepChanged();
  take(point, name);
}

RunPlan EditSession::searchPlan() const {
  RunPlan plan;
  plan.workload = title_.section(u' ', 0, 0);
  plan.parameters = title_.section(u' ', 1);
  if (hasLevel(target(), CodeLevel::kCuda))
    plan.target = target();
  plan.threads = subject_.value("threads", 1);
  plan.cold = subject_.value("cache", std::string()) == "cold";
  if (const EditNode* node = history_.current(); node && !node->record.isEmpty() &&
                                                 node->outcome == QStringLiteral("ok") &&
                                                 !decisions_.empty()) {
    plan.from = node->record;
    for (const Decision& decision : decisions_)
      if (decision.locked)
        plan.locks << decision.names.front();
  }
  return plan;
}

void EditSession::undo() {
  if (history_.canUndo())
    goTo(history_.current()->parent);
}

void EditSession::redo() {
  if (history_.canRedo())
    goTo(history_.current()->redo);
}

void EditSession::goTo(int row) {
  typing_ = false;
  if (row != history_.currentRow())
    forgetSweep();
  history_.goTo(row);
  showCurrent();
}

Json EditSession::measureRequest() const {
  const EditNode* node = history_.current();
  if (!node || !error_.isEmpty())
    return nullptr;
  Json request{{"do", "measure"}, {"subject", subject_}, {"trace", node->trace.toStdString()}};
  if (const EditNode* from =
          node->parent < 0 ? node : &history_.nodes()[static_cast<size_t>(node->parent)];
      !from->candidate.isEmpty())
    request["parent"] = from->candidate.toStdString();
  return request;
}

void EditSession::measure() {
  Json request = measureRequest();
  if (request.is_null() || isMeasuring())
    return;
  const int row = history_.currentRow();
  typing_ = false;
  measuring_.ask(QStringLiteral("measure"), std::move(request),
                 [this, row](const Json& answer, const QString& error) {
                   if (!error.isEmpty()) {
                     emit said(error.section(u'\n', 0, 0), true);
                   } else {
                     EditNode done = history_.nodes()[static_cast<size_t>(row)];
                     done.record = textOf(answer, "record");
                     done.candidate = textOf(answer, "candidate");
                     done.outcome = textOf(answer, "outcome").replace(u'_', u' ');
                     done.reason = textOf(answer, "reason");
                     takeTime(answer, done);
                     history_.changed(row, done);
                     takeKnownTimes();
                     emit measured(done.record);
                   }
                   emit measuringChanged();
                 });
  emit measuringChanged();
}

} // namespace temper::gui
