#include "gui/core/why_faster.h"

#include "gui/core/counters.h"
#include "gui/core/format.h"
#include "gui/core/json_entry.h"

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {

double numberIn(const Json& json, const char* name) {
  const auto entry = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && entry != json.end() && entry->is_number() ? entry->get<double>()
                                                                       : std::nan("");
}

const Json& listIn(const Json& json, const char* name) {
  static const Json none = Json::array();
  const auto entry = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && entry != json.end() && entry->is_array() ? *entry : none;
}

QString effectText(double change) {
  return std::isnan(change) ? QString()
                            : QStringLiteral("%1 %2%3")
                                  .arg(change > 0   ? QStringLiteral("▲")
                                       : change < 0 ? QStringLiteral("▼")
                                                    : QStringLiteral("≈"),
                                       change < 0 ? QStringLiteral("−") : QStringLiteral("+"))
                                  .arg(std::abs(change), 0, 'f', 3);
}

QString quantityText(double value, const QString& unit) {
  if (std::isnan(value))
    return QStringLiteral("?");
  if (unit == u"%")
    return QStringLiteral("%1 %").arg(value, 0, 'f', 0);
  if (unit == u"ns")
    return value > 0 ? timeText(value) : QStringLiteral("0");
  const QString number = value == std::floor(value) && std::abs(value) < 1e15
                             ? numberText(static_cast<int64_t>(value))
                             : QString::number(value, 'f', 2);
  return unit.isEmpty() ? number
                        : QStringLiteral("%1 %2%3").arg(
                              number, unit, value == 1 ? QString() : QStringLiteral("s"));
}

void scaleShares(WhySection& section, const std::vector<double>& effects) {
  double largest = 0;
  for (const double effect : effects)
    largest = std::max(largest, std::isnan(effect) ? 0 : std::abs(effect));
  for (size_t i = 0; largest > 0 && i < effects.size(); ++i)
    section.rows[i].share = std::isnan(effects[i]) ? 0 : effects[i] / largest;
}

/// What adds to a score, as rows.
WhySection termSection(const Json& terms) {
  WhySection section;
  section.title = QStringLiteral("As the cost model sees it");
  std::vector<double> effects;
  for (const Json& term : terms) {
    const double change = numberIn(term, "change");
    constexpr double kNothing = 0.0005;
    if (!(std::abs(change) >= kNothing))
      continue;
    QStringList names, tips;
    for (const Json& feature : listIn(term, "features")) {
      names << textIn(feature, "name");
      tips << QStringLiteral("%1: %2 → %3, %4")
                  .arg(textIn(feature, "name"))
                  .arg(numberIn(feature, "a"), 0, 'f', 2)
                  .arg(numberIn(feature, "b"), 0, 'f', 2)
                  .arg(effectText(numberIn(feature, "change")));
    }
    effects.push_back(change);
    section.rows.push_back({names.isEmpty() ? textIn(term, "what")
                                            : QStringLiteral("%1  (%2)")
                                                  .arg(textIn(term, "what"),
                                                       names.mid(0, 2).join(QStringLiteral(", "))),
                            {},
                            {},
                            effectText(change),
                            0,
                            tips.join(u'\n'),
                            {},
                            {}});
  }
  scaleShares(section, effects);
  return section;
}

WhySection factSection(const QString& title, const Json& facts) {
  WhySection section;
  section.title = title;
  for (const Json& fact : facts) {
    const QString unit = textIn(fact, "unit");
    section.rows.push_back({textIn(fact, "what"),
                            quantityText(numberIn(fact, "a"), unit),
                            quantityText(numberIn(fact, "b"), unit),
                            {},
                            0,
                            {},
                            {},
                            {}});
  }
  return section;
}

/// What the model's scores make of the two times.
enum class Agreement : uint8_t {
  kSame,    ///< it has them the same way round
  kWrong,   ///< the other way round
  kUntold,  ///< the times lie within their intervals: neither order would contradict them
  kNeither, ///< it sees no difference
};

Agreement agreementOf(const Json& answer, double a, double b) {
  constexpr double kNoDifference = 0.0005; // what shows as 0.000
  const Json& interval = listIn(answer, "ratio_interval");
  if (interval.size() == 2 && interval[0].is_number() && interval[1].is_number() &&
      interval[0].get<double>() <= 1 && interval[1].get<double>() >= 1)
    return Agreement::kUntold;
  if (std::abs(b - a) < kNoDifference)
    return Agreement::kNeither;
  return (b > a) == (numberIn(answer, "ratio") > 1) ? Agreement::kWrong : Agreement::kSame;
}

} // namespace

std::vector<WhySection> whySections(const Json& answer) {
  std::vector<WhySection> sections;
  const Json model = answer.value("model", Json::object());

  WhySection decided;
  decided.title = QStringLiteral("Decided otherwise");
  std::vector<double> effects;
  for (const Json& decision : listIn(answer, "decisions")) {
    const double change = numberIn(decision, "score_change");
    effects.push_back(change);
    decided.rows.push_back(
        {textIn(decision, "step") == QStringLiteral("knob")
             ? textIn(decision, "name")
             : QStringLiteral("%1 for %2").arg(textIn(decision, "name"), textIn(decision, "step")),
         textIn(decision, "a"), textIn(decision, "b"), effectText(change), 0,
         QStringLiteral("What A's predicted score becomes by this change alone; the others may "
                        "strengthen it or undo it."),
         QStringLiteral("%1 = %2").arg(textIn(decision, "name"), textIn(decision, "b")),
         textIn(decision, "trace")});
  }
  scaleShares(decided, effects);
  if (answer.value("other_steps", false))
    decided.note =
        QStringLiteral("They are of different sketches: no decision of one corresponds to "
                       "one of the other. Their traces show what was done.");
  if (!decided.rows.empty() || !decided.note.isEmpty())
    sections.push_back(std::move(decided));

  WhySection seen = termSection(listIn(model, "terms"));
  if (const double a = numberIn(model, "score_a"), b = numberIn(model, "score_b");
      !std::isnan(a) && !std::isnan(b)) {
    seen.note =
        QStringLiteral("Learnt from %1 of this kernel; its scores and the measured speeds have a "
                       "rank correlation of %2. It gives A %3 and B %4 (1 is the fastest).")
            .arg(countText(model.value("learnt_from", 0), "candidate"))
            .arg(numberIn(model, "rank_correlation"), 0, 'f', 2)
            .arg(a, 0, 'f', 3)
            .arg(b, 0, 'f', 3);
    switch (agreementOf(answer, a, b)) {
    case Agreement::kSame:
      break;
    case Agreement::kWrong:
      seen.note += QStringLiteral(" That is the wrong way round: do not believe it here.");
      break;
    case Agreement::kUntold:
      seen.note += QStringLiteral(" Their times differ by less than their intervals, so that they "
                                  "neither confirm nor contradict that order.");
      break;
    case Agreement::kNeither:
      seen.note += QStringLiteral(" It sees no difference between them.");
      break;
    }
    sections.push_back(std::move(seen));
  }

  if (WhySection machine =
          factSection(QStringLiteral("Of what the machine allows"), listIn(answer, "machine"));
      !machine.rows.empty()) {
    machine.note = QStringLiteral("Shares of the time that was measured; estimated ones are of the "
                                  "analytical model, which sees no latency.");
    sections.push_back(std::move(machine));
  }

  WhySection code = factSection(QStringLiteral("Machine code"), listIn(answer, "code"));
  if (const Json& limits = listIn(answer, "limits"); limits.size() == 2 && limits[0].is_string() &&
                                                     limits[1].is_string() &&
                                                     limits[0] != limits[1])
    code.rows.insert(code.rows.begin(), {QStringLiteral("the hot loop waits for"),
                                         toQString(limits[0].get<std::string>()),
                                         toQString(limits[1].get<std::string>()),
                                         {},
                                         0,
                                         {},
                                         {},
                                         {}});
  if (!code.rows.empty())
    sections.push_back(std::move(code));
  WhySection counters;
  counters.title = QStringLiteral("Counters");
  for (const Json& fact : listIn(answer, "counters")) {
    const CounterValue a = counterOf(textIn(fact, "what"), numberIn(fact, "a"));
    const CounterValue b = counterOf(a.name, numberIn(fact, "b"));
    counters.rows.push_back({a.words, a.text(), b.text(), {}, 0, a.name, {}, {}});
  }
  if (!counters.rows.empty())
    sections.push_back(std::move(counters));

  WhySection unknown;
  unknown.title = QStringLiteral("Not known");
  for (const Json& sentence : listIn(answer, "unknown"))
    if (sentence.is_string())
      unknown.rows.push_back({toQString(sentence.get<std::string>()), {}, {}, {}, 0, {}, {}, {}});
  if (!unknown.rows.empty())
    sections.push_back(std::move(unknown));
  return sections;
}

WhySection opinionSection(const Json& answer) {
  WhySection section = termSection(listIn(answer, "terms"));
  const double score = numberIn(answer, "score"), average = numberIn(answer, "average_score");
  if (std::isnan(score) || std::isnan(average))
    return {};
  section.note =
      QStringLiteral("Score %1, against %2 on average of %3 of this kernel that it learnt from "
                     "(rank correlation %4); measured was a speed of %5, 1 being the fastest. It "
                     "ranks this one %6 and time ranks it %7. Below, what adds to the average:")
          .arg(score, 0, 'f', 3)
          .arg(average, 0, 'f', 3)
          .arg(countText(answer.value("learnt_from", 0), "candidate"))
          .arg(numberIn(answer, "rank_correlation"), 0, 'f', 2)
          .arg(numberIn(answer, "speed"), 0, 'f', 3)
          .arg(answer.value("place_by_score", 0))
          .arg(answer.value("place_by_time", 0));
  return section;
}

QString whySentence(const Json& answer) {
  const Json model = answer.value("model", Json::object());
  const double a = numberIn(model, "score_a"), b = numberIn(model, "score_b");
  if (std::isnan(a) || std::isnan(b) || agreementOf(answer, a, b) != Agreement::kSame)
    return {};
  // Those that pull in the direction of what was measured, largest first.
  QStringList causes;
  double sum = 0, named = 0;
  for (const Json& term : listIn(model, "terms")) {
    const double change = numberIn(term, "change");
    if ((change > 0) != (b > a))
      continue;
    sum += std::abs(change);
    if (causes.size() < 3 && std::abs(change) > 0.1 * std::abs(b - a)) {
      causes << textIn(term, "what");
      named += std::abs(change);
    }
  }
  if (causes.isEmpty())
    return {};
  return QStringLiteral("%1 % of what speaks for %2, as the cost model sees it: %3.")
      .arg(100 * named / sum, 0, 'f', 0)
      .arg(b > a ? QStringLiteral("B") : QStringLiteral("A"))
      .arg(causes.join(QStringLiteral(", ")));
}

WhyQuestion::WhyQuestion(QString database, QObject* parent)
    : QObject(parent), database_(std::move(database)) {}

void WhyQuestion::cancel() {
  ++question_;
  if (session_)
    session_->forget(QStringLiteral("why"));
  const bool had = busy_ || !sections_.empty() || !error_.isEmpty();
  busy_ = false;
  sections_.clear();
  sentence_.clear();
  error_.clear();
  if (had)
    emit changed();
}

void WhyQuestion::ask(const QString& a, const QString& b) {
  cancel();
  if (!session_)
    session_ = std::make_unique<TemperSession>(database_);
  busy_ = true;
  session_->ask(QStringLiteral("why"),
                Json{{"do", "why"}, {"a", a.toStdString()}, {"b", b.toStdString()}},
                [this, question = question_](const Json& answer, const QString& error) {
                  if (question != question_)
                    return;
                  busy_ = false;
                  if (!error.isEmpty())
                    error_ = error.section(u'\n', 0, 0);
                  else if (const QString refused = textIn(answer, "refused"); !refused.isEmpty())
                    error_ = tr("Not compared: %1.").arg(refused);
                  else {
                    sections_ = whySections(answer);
                    sentence_ = whySentence(answer);
                  }
                  emit changed();
                });
  emit changed();
}

} // namespace temper::gui
