#include "gui/core/limits.h"

#include "gui/core/format.h"
#include "gui/core/json_entry.h"

#include <QRegularExpression>

namespace temper::gui {

namespace {

double numberIn(const Json& json, const char* name) {
  const auto entry = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && entry != json.end() && entry->is_number() ? entry->get<double>() : 0;
}

/// As the window writes it: "142.04 µs", never broken before the unit.
QString withUnits(QString text) {
  static const QRegularExpression time(QStringLiteral("(\\d) (ns|us|ms|s)\\b"));
  return text.replace(time, QStringLiteral("\\1\u00a0\\2"))
      .replace(QStringLiteral("\u00a0us"), QStringLiteral("\u00a0µs"));
}

QStringList textsIn(const Json& json, const char* name) {
  QStringList texts;
  for (const Json& text : json.value(name, Json::array()))
    if (text.is_string())
      texts << withUnits(toQString(text.get<std::string>()));
  return texts;
}

std::vector<LimitBar> barsIn(const Json& json, const char* name) {
  std::vector<LimitBar> bars;
  for (const Json& bar : json.value(name, Json::array()))
    bars.push_back({textIn(bar, "what"), numberIn(bar, "share"), withUnits(textIn(bar, "evidence")),
                    bar.is_object() && bar.value("estimated", false)});
  return bars;
}

} // namespace

LimitsAnswer limitsAnswer(const QString& record, const Json& answer) {
  LimitsAnswer limits;
  limits.sentences = textsIn(answer, "sentences");
  limits.unknown = textsIn(answer, "unknown");
  limits.machine = barsIn(answer, "machine");
  limits.loop = barsIn(answer, "loop");
  for (const Json& entry : answer.value("findings", Json::array())) {
    LimitFinding finding;
    finding.what = textIn(entry, "what");
    const QString is = withUnits(textIn(entry, "evidence")),
                  should = withUnits(textIn(entry, "threshold"));
    finding.record = textIn(entry, "record");
    finding.evidence = should.isEmpty() ? is
                       : finding.record.isEmpty()
                           ? QObject::tr("%1 instead of %2").arg(is, should)
                           : QObject::tr("%1 here, %2 there").arg(is, should);
    if (const double gain = numberIn(entry, "gain"); gain > 0)
      finding.gain = QStringLiteral("%1 %2×%3")
                         .arg(gain < 1 ? QStringLiteral("▲") : QStringLiteral("▼"))
                         .arg(gain, 0, 'f', 2)
                         .arg(finding.record.isEmpty() ? QObject::tr(" the time, estimated")
                                                       : QObject::tr(" the time, measured"));
    if (const auto proposal = entry.find("proposal"); proposal != entry.end())
      finding.step = {record, textIn(*proposal, "label"), textIn(*proposal, "trace")};
    limits.findings.push_back(std::move(finding));
  }
  return limits;
}

LimitsQuestion::LimitsQuestion(QString database, QObject* parent)
    : QObject(parent), database_(std::move(database)) {}

void LimitsQuestion::cancel() {
  if (session_)
    for (const char* tag : {"limits", "model"})
      session_->forget(QString::fromLatin1(tag));
  learning_ = false;
  record_.clear();
  if (std::exchange(busy_, false))
    emit changed();
}

void LimitsQuestion::ask(const QString& record) {
  if (record == record_)
    return;
  cancel();
  record_ = record;
  if (record.isEmpty() || (answer() && answer()->whole)) {
    emit changed();
    return;
  }
  if (!session_)
    session_ = std::make_unique<TemperSession>(database_);
  if (answer()) { // somebody looked elsewhere while the model learnt
    askModel(record);
    emit changed();
    return;
  }
  busy_ = true;
  session_->ask(QStringLiteral("limits"), Json{{"do", "limits"}, {"record", record.toStdString()}},
                [this, record](const Json& answer, const QString& error) {
                  busy_ = false;
                  auto limits = std::make_unique<LimitsAnswer>();
                  if (error.isEmpty())
                    *limits = limitsAnswer(record, answer);
                  else
                    limits->error = error.section(u'\n', 0, 0);
                  const bool failed = limits->whole = !limits->error.isEmpty();
                  answers_.insert(record, limits.release());
                  if (!failed)
                    askModel(record);
                  emit changed();
                });
  emit changed();
}

void LimitsQuestion::askModel(const QString& record) {
  learning_ = true;
  session_->ask(QStringLiteral("model"), Json{{"do", "model"}, {"record", record.toStdString()}},
                [this, record](const Json& answer, const QString& error) {
                  learning_ = false;
                  if (LimitsAnswer* limits = answers_.object(record)) {
                    limits->whole = true;
                    if (error.isEmpty())
                      limits->model = opinionSection(answer);
                    else
                      limits->unknown << QObject::tr("what the cost model makes of it: %1")
                                             .arg(error.section(u'\n', 0, 0));
                  }
                  emit changed();
                });
}

} // namespace temper::gui
