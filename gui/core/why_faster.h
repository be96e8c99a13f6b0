/// Why one of two records is faster, as a table in sections: what they decided differently, what a
/// model that learnt from all of the kernel's records makes of it, their machine code, counters.
/// `temper session` finds it out ("why").
#pragma once

#include "gui/core/temper_session.h"
#include "ir/support/json.h"

#include <QObject>
#include <QString>

#include <memory>
#include <vector>

namespace temper::gui {

struct WhyRow {
  QString what;
  QString a, b;
  QString effect;   ///< "▲ +0.120": of B's score over A's
  double share = 0; ///< of the section's largest effect, -1 to 1; above 0: it makes B faster
  QString tip;
  QString label; ///< of a decision: "v11, v12 = [8, 2]"
  QString trace; ///< A with this decision as B's; empty: it cannot be tried
};

struct WhySection {
  QString title;
  QString note; ///< how far it is to be trusted, or why it is empty
  std::vector<WhyRow> rows;
};

/// The sections of an answer; those that have nothing to say are left out.
std::vector<WhySection> whySections(const Json& answer);
/// What a model makes of one record ("model"): what adds to the average candidate's score. Without
/// a title where the answer has none.
WhySection opinionSection(const Json& answer);
/// The weightiest in one sentence: "Most of it, as the model sees it: data touched, strides.";
/// empty where there is nothing to say: the times do not differ, or the model has them otherwise.
QString whySentence(const Json& answer);

/// Asks, one question at a time: a newer one takes the place of the one before.
class WhyQuestion : public QObject {
  Q_OBJECT
public:
  explicit WhyQuestion(QString database, QObject* parent = nullptr);

  void ask(const QString& a, const QString& b);
  void cancel();
  bool isBusy() const { return busy_; }
  /// Empty before there is an answer, and where there is an error.
  const std::vector<WhySection>& sections() const { return sections_; }
  const QString& sentence() const { return sentence_; }
  const QString& error() const { return error_; }

signals:
  void changed();

private:
  QString database_;
  std::unique_ptr<TemperSession> session_; ///< from the first question on
  uint64_t question_ = 0;
  bool busy_ = false;
  std::vector<WhySection> sections_;
  QString sentence_, error_;
};

} // namespace temper::gui
