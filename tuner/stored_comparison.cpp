#include "tuner/stored_comparison.h"

#include "ir/support/quantities.h"
#include "ir/support/random.h"
#include "ir/support/significance.h"
#include "tuner/workbench.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

namespace temper::tuner {
namespace {

using database::RecordRow;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kDraws = 1000;

/// What two numbers must share to be compared at all.
using Key = std::tuple<database::Id, int, database::TimingRegime, std::string, std::string>;

Key key_of(const RecordRow& row, bool with_target) {
  return {row.workload, row.threads, row.regime, row.inputs, with_target ? row.target : ""};
}

/// The record of each side that is meant, of several of one kernel.
std::pair<const RecordRow*, const RecordRow*> choose(const std::vector<const RecordRow*>& a,
                                                     const std::vector<const RecordRow*>& b,
                                                     const StoredComparisonOptions& options) {
  const auto here = [&](const RecordRow& row) {
    return row.environment_class == options.environment_class;
  };
  const auto today = [&](const RecordRow& row) {
    return std::ranges::find(options.current_toolchains, row.toolchain) !=
           options.current_toolchains.end();
  };
  const auto worth = [&](const RecordRow& x, const RecordRow& y) {
    // On one machine first: two machines are compared only where nothing else can be.
    return std::tuple(x.environment_class == y.environment_class, here(x), here(y), today(x),
                      today(y), x.measured_at, y.measured_at);
  };
  std::pair<const RecordRow*, const RecordRow*> best{a[0], b[0]};
  for (const RecordRow* x : a)
    for (const RecordRow* y : b)
      if (worth(*x, *y) > worth(*best.first, *best.second))
        best = {x, y};
  return best;
}

class Comparer {
public:
  Comparer(database::Store& store, const StoredComparisonOptions& options)
      : store_(store), options_(options) {}

  Result<StoredComparison> run(std::span<const RecordRow> a, std::span<const RecordRow> b) {
    StoredComparison comparison;
    std::vector<const RecordRow*> left;
    std::vector<const RecordRow*> right;
    for (const RecordRow& row : a)
      left.push_back(&row);
    for (const RecordRow& row : b)
      right.push_back(&row);
    for (const bool with_target : {true, false})
      TEMPER_TRY_VOID(pair_up(comparison, left, right, with_target));
    // In the order that the first selection has.
    std::map<database::Id, size_t> place;
    for (const RecordRow& row : a)
      place.emplace(row.id, place.size());
    std::vector<size_t> sorted(comparison.pairs.size());
    std::iota(sorted.begin(), sorted.end(), size_t{0});
    std::ranges::stable_sort(sorted, [&](size_t x, size_t y) {
      return place[comparison.pairs[x].a.row.id] < place[comparison.pairs[y].a.row.id];
    });
    std::vector<StoredPair> pairs;
    std::vector<std::vector<double>> draws;
    for (const size_t index : sorted) {
      pairs.push_back(std::move(comparison.pairs[index]));
      draws.push_back(std::move(draws_[index]));
    }
    comparison.pairs = std::move(pairs);
    draws_ = std::move(draws);
    TEMPER_TRY_VOID(name_unpaired(left, b, comparison.only_a));
    TEMPER_TRY_VOID(name_unpaired(right, a, comparison.only_b));
    decide(comparison);
    summarize(comparison);
    return comparison;
  }

private:
  Result<std::string> title(const RecordRow& row) {
    const auto [known, is_new] = titles_.try_emplace(row.workload);
    if (is_new) {
      TEMPER_TRY(workload, store_.workload(row.workload));
      known->second = format_binding(declared_order(workload).dump());
    }
    return known->second.empty() ? row.workload_name : row.workload_name + " " + known->second;
  }

  /// Takes what pairs up out of the lists.
  Result<void> pair_up(StoredComparison& comparison, std::vector<const RecordRow*>& left,
                       std::vector<const RecordRow*>& right, bool with_target) {
    struct Group {
      std::vector<const RecordRow*> a;
      std::vector<const RecordRow*> b;
      bool paired = false;
    };
    std::map<Key, Group> groups;
    for (const RecordRow* row : left)
      groups[key_of(*row, with_target)].a.push_back(row);
    for (const RecordRow* row : right)
      groups[key_of(*row, with_target)].b.push_back(row);
    for (auto& [key, group] : groups) {
      if (group.a.empty() || group.b.empty() ||
          (!with_target && group.a.size() + group.b.size() > 2))
        continue;
      group.paired = true;
      const auto [a, b] = choose(group.a, group.b, options_);
      TEMPER_TRY_VOID(add_pair(comparison, *a, *b));
      comparison.passed_over += static_cast<int64_t>(group.a.size() + group.b.size()) - 2;
    }
    const auto is_paired = [&](const RecordRow* row) {
      return groups[key_of(*row, with_target)].paired;
    };
    std::erase_if(left, is_paired);
    std::erase_if(right, is_paired);
    return {};
  }

  Result<StoredSide> side(const RecordRow& row, const database::Measurement& record) {
    StoredSide side;
    side.row = row;
    side.samples = record.samples_ns.size();
    const auto [host, new_host] = hosts_.try_emplace(record.environment);
    if (new_host) {
      TEMPER_TRY(environment, store_.environment(record.environment));
      host->second = environment.host;
    }
    side.host = host->second;
    const auto [compiler, new_compiler] = compilers_.try_emplace(row.toolchain);
    if (new_compiler) {
      TEMPER_TRY(toolchain, store_.toolchain(row.toolchain));
      compiler->second = compiler_of(toolchain);
    }
    side.compiler = compiler->second;
    return side;
  }

  Result<void> add_pair(StoredComparison& comparison, const RecordRow& a, const RecordRow& b) {
    TEMPER_TRY(first, store_.measurement(a.id));
    TEMPER_TRY(second, store_.measurement(b.id));
    StoredPair pair;
    TEMPER_TRY(title, this->title(a));
    pair.title = title;
    TEMPER_TRY(left, side(a, first));
    pair.a = std::move(left);
    TEMPER_TRY(right, side(b, second));
    pair.b = std::move(right);
    pair.ratio = b.median_ns / a.median_ns;
    pair.same_record = a.id == b.id;
    pair.same_measurement =
        pair.same_record || (first.measured_at == second.measured_at && !first.samples_ns.empty() &&
                             first.samples_ns == second.samples_ns);
    pair.same_code = !pair.same_measurement && first.code_hash != 0 &&
                     first.code_hash == second.code_hash &&
                     a.environment_class == b.environment_class && a.target == b.target;
    std::vector<double> draws;
    const std::vector<double> old_ns(first.samples_ns.begin(), first.samples_ns.end());
    const std::vector<double> new_ns(second.samples_ns.begin(), second.samples_ns.end());
    if (pair.same_measurement) {
      pair.interval = {1, 1};
      pair.verdict = StoredVerdict::kSame;
    } else if (std::min(old_ns.size(), new_ns.size()) < kFewestStoredSamples) {
      pair.interval = {kNan, kNan};
    } else {
      draws =
          log_ratio_draws(new_ns, old_ns, hash_combine(hash_bytes(a.id), hash_bytes(b.id)), kDraws);
      // A record's number may be the lower quartile of its samples, where they are long and uneven:
      // the interval belongs to the ratio that is shown.
      const double shift = std::log(pair.ratio) - std::log(median(new_ns) / median(old_ns));
      for (double& draw : draws)
        draw += shift;
      pair.interval = ratio_interval(draws);
      pair.p = rank_sum_p_value(old_ns, new_ns);
      pair.tested = !draws.empty();
    }
    comparison.pairs.push_back(std::move(pair));
    draws_.push_back(std::move(draws));
    return {};
  }

  Result<void> name_unpaired(const std::vector<const RecordRow*>& rows,
                             std::span<const RecordRow> others,
                             std::vector<StoredUnpaired>& unpaired) {
    for (const RecordRow* row : rows) {
      StoredUnpaired one;
      TEMPER_TRY(title, this->title(*row));
      one.title = title;
      one.row = *row;
      one.reason = reason(*row, others);
      unpaired.push_back(std::move(one));
    }
    return {};
  }

  static std::string reason(const RecordRow& row, std::span<const RecordRow> others) {
    std::string reason = "not there";
    for (const RecordRow& other : others) {
      if (other.workload_name == row.workload_name && other.binding_json == row.binding_json &&
          other.workload != row.workload)
        reason = "there with another program";
      if (other.workload != row.workload)
        continue;
      if (other.threads != row.threads)
        return "there with " + format_count(other.threads, "thread");
      if (other.regime != row.regime)
        return std::string("there with ") + to_string(other.regime) + " caches";
      if (other.inputs != row.inputs)
        return "there with other inputs";
      return "there for several targets";
    }
    return reason;
  }

  void decide(StoredComparison& comparison) const {
    std::vector<double> p_values;
    for (const StoredPair& pair : comparison.pairs)
      if (pair.tested)
        p_values.push_back(pair.p);
    comparison.tests = static_cast<int>(p_values.size());
    const std::vector<double> adjusted = holm_adjusted(p_values);
    size_t next = 0;
    const double most = 1 + options_.tolerance;
    for (StoredPair& pair : comparison.pairs) {
      if (pair.same_code) {
        ++comparison.equal_code;
        comparison.equal_code_difference =
            std::max(comparison.equal_code_difference, std::max(pair.ratio, 1 / pair.ratio) - 1);
      }
      if (!pair.tested)
        continue;
      pair.p_adjusted = adjusted[next++];
      // Ranks may differ clearly where the medians do not: of samples with two modes, say. A
      // verdict is about the ratio that stands beside it, so its interval has to agree.
      const bool differs = pair.p_adjusted <= options_.alpha;
      if (differs && pair.ratio > most && pair.interval.low > 1)
        pair.verdict = StoredVerdict::kSlower;
      else if (differs && pair.ratio < 1 / most && pair.interval.high < 1)
        pair.verdict = StoredVerdict::kFaster;
      else if (pair.interval.low >= 1 / most && pair.interval.high <= most)
        pair.verdict = StoredVerdict::kSame;
    }
  }

  void summarize(StoredComparison& comparison) const {
    std::vector<double> ratios;
    std::vector<size_t> counted;
    bool drawn = false;
    for (size_t i = 0; i < comparison.pairs.size(); ++i)
      if (const double ratio = comparison.pairs[i].ratio; ratio > 0 && std::isfinite(ratio)) {
        ratios.push_back(ratio);
        counted.push_back(i);
        drawn |= !draws_[i].empty();
      }
    comparison.ratio = geometric_mean(ratios);
    comparison.interval = comparison.sampled_interval = {kNan, kNan};
    if (!drawn)
      return;
    // A pair without samples has no noise to draw from: its ratio stands as it is.
    const auto draw = [&](size_t i, size_t round) {
      const std::vector<double>& draws = draws_[counted[i]];
      return draws.empty() ? std::log(ratios[i]) : draws[round];
    };
    Random random(1);
    std::vector<double> these(kDraws);
    std::vector<double> sampled(kDraws);
    const auto size = static_cast<double>(ratios.size());
    for (size_t round = 0; round < kDraws; ++round)
      for (size_t i = 0; i < ratios.size(); ++i) {
        these[round] += draw(i, round) / size;
        const auto other = static_cast<size_t>(random.below(static_cast<int64_t>(ratios.size())));
        sampled[round] += draw(other, static_cast<size_t>(random.below(kDraws))) / size;
      }
    comparison.interval = ratio_interval(these);
    if (ratios.size() > 1)
      comparison.sampled_interval = ratio_interval(sampled);
  }

  database::Store& store_;
  const StoredComparisonOptions& options_;
  std::vector<std::vector<double>> draws_; ///< by pair
  std::map<database::Id, std::string> titles_;
  std::map<database::Id, std::string> hosts_;
  std::map<database::Id, std::string> compilers_;
};

} // namespace

const char* to_string(StoredVerdict verdict) {
  switch (verdict) {
  case StoredVerdict::kFaster:
    return "faster";
  case StoredVerdict::kSlower:
    return "slower";
  case StoredVerdict::kSame:
    return "same";
  case StoredVerdict::kUndecided:
    return "undecided";
  }
  TEMPER_UNREACHABLE("a verdict outside its enum");
}

int64_t StoredComparison::count(StoredVerdict verdict) const {
  return std::ranges::count(pairs, verdict, &StoredPair::verdict);
}

std::string compiler_of(const database::Toolchain& row) {
  const auto json = parse_json(row.json);
  if (!json || !json->is_object())
    return row.id;
  const auto text = [&](const char* name) {
    const auto found = json->find(name);
    return found != json->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (const std::string library = text("library"); !library.empty())
    return text("file").empty() ? library : library + " " + text("file");
  for (const char* name : {"compiler", "program"})
    if (const std::string word = text(name); !word.empty())
      return word;
  return row.id;
}

Result<StoredComparison> compare_stored(database::Store& store, std::span<const RecordRow> a,
                                        std::span<const RecordRow> b,
                                        const StoredComparisonOptions& options) {
  return Comparer(store, options).run(a, b);
}

} // namespace temper::tuner
