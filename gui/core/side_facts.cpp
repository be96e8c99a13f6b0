#include "gui/core/side_facts.h"

#include "gui/core/counters.h"
#include "gui/core/format.h"

#include <algorithm>
#include <map>

namespace temper::gui {

namespace {

QString ratioText(double a, double b) {
  return a > 0 && b >= 0 ? QStringLiteral("%1×").arg(b / a, 0, 'f', b / a < 10 ? 3 : 0) : QString();
}

} // namespace

std::vector<FactPair> factPairs(const RecordDetail& a, const RecordDetail& b) {
  const auto time = [](const RecordDetail& side) {
    return side.row.median_ns > 0 ? timeText(side.row.median_ns) : outcomeText(side.row.outcome);
  };
  std::vector<FactPair> pairs{
      {QStringLiteral("record"), toQString(a.row.id), toQString(b.row.id), {}, {}},
      {QStringLiteral("workload"), a.title(), b.title(), {}, {}},
      {QStringLiteral("time"),
       time(a),
       time(b),
       compareStored(a, b).comparable ? ratioText(a.row.median_ns, b.row.median_ns) : QString(),
       {}}};

  // Of counters each is known by the engine's name: several may be called alike.
  using Key = std::pair<QString, QString>;
  std::map<Key, double> values[2];
  const RecordDetail* sides[] = {&a, &b};
  for (const size_t side : {0u, 1u})
    for (const CounterValue& counter : countersOf(sides[side]->measurement))
      if (counter.unit != u"%")
        values[side][{counter.words, counter.name}] = counter.value;

  const QList<RecordDetail::Fact> left = a.facts(), right = b.facts();
  const auto find = [](const QList<RecordDetail::Fact>& facts, const RecordDetail::Fact& wanted) {
    return std::find_if(facts.begin(), facts.end(), [&](const RecordDetail::Fact& fact) {
      return fact.name == wanted.name && fact.tip == wanted.tip;
    });
  };
  const auto add = [&](const RecordDetail::Fact& fact, const QString& l, const QString& r) {
    const Key key{fact.name, fact.tip};
    const auto x = values[0].find(key), y = values[1].find(key);
    pairs.push_back(
        {fact.name, l, r,
         x != values[0].end() && y != values[1].end() ? ratioText(x->second, y->second) : QString(),
         fact.tip});
  };
  auto next = right.begin();
  for (const RecordDetail::Fact& fact : left) {
    const auto same = find(right, fact);
    if (same != right.end())
      for (; next < same; ++next)
        if (find(left, *next) == left.end())
          add(*next, {}, next->value);
    add(fact, fact.value, same == right.end() ? QString() : same->value);
    if (same != right.end() && next <= same)
      next = same + 1;
  }
  for (; next < right.end(); ++next)
    if (find(left, *next) == left.end())
      add(*next, {}, next->value);
  return pairs;
}

} // namespace temper::gui
