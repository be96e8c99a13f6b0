/// The strategy `surrogate`: a Gaussian process over all configurations, and the expected
/// improvement over the best.
///
///   start      configurations far from each other, then until two are valid
///   response   log of the time, cut off at the median: what is slow need not be told apart, and a
///              few very slow ones would hide the differences that count. Failures are at the cut.
///   kernel     Matern 5/2 of d^2(a, b) = the sum over parameters of [a differs from b] / l^2. Each
///              parameter has its own length l, fitted; the prior prefers long ones, so that at
///              first effects add up, and interactions come with evidence.
///   refits     when the trials have grown by 15 %; between them each trial is one more row of the
///              Cholesky factor
///   active set between refits only the rows that looked best at the last one are predicted
///   old trials the model keeps the best and some others when it would become too large
#include "tuner/search/configuration_strategy.h"

#include "ir/support/check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace temper::tuner {
namespace {

// Settings. The shape of the model is common practice; lengths, cut and start were chosen on the
// spaces that `temper score` reports (tuner/README.md says so beside the figures).
constexpr size_t kStart = 16;         ///< configurations before the model has a say
constexpr int kStartDraws = 50;       ///< candidates for each of them
constexpr double kPriorLength = 2.0;  ///< prior median of a length, in units of [a differs from b]
constexpr double kPriorSpread = 0.8;  ///< standard deviation of its logarithm
constexpr double kPriorNoise = 0.01;  ///< prior median of noise variance / signal variance
constexpr double kNoiseSpread = 1.0;  ///< standard deviation of its logarithm
constexpr double kPriorWeight = 2.0;  ///< observations that the prior of the signal variance counts
constexpr double kCut = 0.5;          ///< quantile of the responses beyond which all is equal
constexpr double kRefitGrowth = 1.15; ///< refit when there are so many times more trials
constexpr size_t kOften = 150;        ///< trials up to which that holds; then kLateGrowth
constexpr double kLateGrowth = 1.3;
constexpr int kFirstSteps = 15;      ///< of gradient ascent, at the first fit
constexpr int kSteps = 6;            ///< at later ones, which start where the last one ended
constexpr size_t kFitRows = 120;     ///< trials the hyper-parameters are fitted to
constexpr size_t kModelRows = 200;   ///< trials the model knows
constexpr double kModelBest = 0.6;   ///< share of them that are the best ones
constexpr size_t kActiveRows = 2000; ///< rows predicted between refits

/// Matern 5/2 of a squared distance, with unit variance and length.
double kernel(double d2) {
  const double r = std::sqrt(5 * d2);
  return (1 + r + r * r / 3) * std::exp(-r);
}
/// Its derivative by the squared distance.
double kernel_slope(double d2) {
  const double r = std::sqrt(5 * d2);
  return -(5.0 / 6.0) * (1 + r) * std::exp(-r);
}

/// Row by row, lower triangle only.
class Triangle {
public:
  explicit Triangle(size_t size) : values_(size * (size + 1) / 2) {}
  double* operator[](size_t row) { return values_.data() + row * (row + 1) / 2; }
  const double* operator[](size_t row) const { return values_.data() + row * (row + 1) / 2; }

private:
  std::vector<double> values_;
};

/// Replaces a positive definite matrix by its Cholesky factor.
void factorise(Triangle& matrix, size_t size) {
  for (size_t a = 0; a < size; ++a)
    for (size_t b = 0; b <= a; ++b) {
      double sum = matrix[a][b];
      for (size_t k = 0; k < b; ++k)
        sum -= matrix[a][k] * matrix[b][k];
      matrix[a][b] = a == b ? std::sqrt(std::max(sum, 1e-10)) : sum / matrix[b][b];
    }
}

/// L^-1 v.
std::vector<double> solve(const Triangle& factor, std::vector<double> v) {
  for (size_t a = 0; a < v.size(); ++a) {
    for (size_t k = 0; k < a; ++k)
      v[a] -= factor[a][k] * v[k];
    v[a] /= factor[a][a];
  }
  return v;
}

/// L^-T v.
void solve_transposed(const Triangle& factor, std::vector<double>& v) {
  for (size_t a = v.size(); a-- > 0;) {
    for (size_t k = a + 1; k < v.size(); ++k)
      v[a] -= factor[k][a] * v[k];
    v[a] /= factor[a][a];
  }
}

/// The process' mean as generalised least squares see it, its variance with the prior's weight, and
/// what is left of the responses: L^-1 (y - mean).
struct Residual {
  std::vector<double> values;
  double mean = 0;
  double variance = 0;
};

Residual residual(const Triangle& factor, std::span<const double> responses) {
  Residual result;
  result.values = solve(factor, {responses.begin(), responses.end()});
  const std::vector<double> ones = solve(factor, std::vector<double>(responses.size(), 1.0));
  double ones_ones = 0;
  double ones_values = 0;
  for (size_t i = 0; i < ones.size(); ++i) {
    ones_ones += ones[i] * ones[i];
    ones_values += ones[i] * result.values[i];
  }
  result.mean = ones_values / ones_ones;
  double squares = 0;
  for (size_t i = 0; i < ones.size(); ++i) {
    result.values[i] -= result.mean * ones[i];
    squares += result.values[i] * result.values[i];
  }
  result.variance =
      (squares + kPriorWeight) / (static_cast<double>(responses.size()) + kPriorWeight);
  return result;
}

/// What is fitted: logarithms of the lengths, then of the noise.
struct Hyperparameters {
  std::vector<double> log_lengths;
  double log_noise = std::log(kPriorNoise);
  explicit Hyperparameters(size_t dimensions) : log_lengths(dimensions, std::log(kPriorLength)) {}
};

/// The logarithm of the posterior of hyper-parameters, and its gradient (lengths, then noise).
class Posterior {
public:
  Posterior(const Configurations& space, std::span<const size_t> rows,
            std::span<const double> responses)
      : responses_(responses), size_(rows.size()), dimensions_(space.dimensions()),
        differs_(size_ * (size_ - 1) / 2 * dimensions_) {
    size_t at = 0;
    for (size_t a = 0; a < size_; ++a)
      for (size_t b = 0; b < a; ++b)
        for (size_t d = 0; d < dimensions_; ++d)
          differs_[at++] = space.code(rows[a], d) != space.code(rows[b], d) ? 1.0F : 0.0F;
  }

  double evaluate(const Hyperparameters& at, std::vector<double>* gradient) const {
    const double noise = std::exp(at.log_noise);
    std::vector<double> weights(dimensions_);
    for (size_t d = 0; d < dimensions_; ++d)
      weights[d] = std::exp(-2 * at.log_lengths[d]);
    Triangle distances(size_);
    Triangle factor(size_);
    const float* differs = differs_.data();
    for (size_t a = 0; a < size_; ++a) {
      for (size_t b = 0; b < a; ++b, differs += dimensions_) {
        double d2 = 0;
        for (size_t d = 0; d < dimensions_; ++d)
          d2 += differs[d] * weights[d];
        distances[a][b] = d2;
        factor[a][b] = kernel(d2);
      }
      factor[a][a] = 1 + noise;
    }
    factorise(factor, size_);
    Residual rest = residual(factor, responses_);
    double value = -0.5 * (static_cast<double>(size_) + kPriorWeight) * std::log(rest.variance);
    for (size_t a = 0; a < size_; ++a)
      value -= std::log(factor[a][a]);
    for (double length : at.log_lengths)
      value -= 0.5 * square((length - std::log(kPriorLength)) / kPriorSpread);
    value -= 0.5 * square((at.log_noise - std::log(kPriorNoise)) / kNoiseSpread);
    if (gradient != nullptr)
      *gradient = slope(at, weights, noise, distances, factor, std::move(rest));
    return value;
  }

private:
  static double square(double x) { return x * x; }

  std::vector<double> slope(const Hyperparameters& at, const std::vector<double>& weights,
                            double noise, const Triangle& distances, const Triangle& factor,
                            Residual rest) const {
    // d/dt = 1/2 trace((alpha alpha^T / variance - K^-1) dK/dt) with alpha = K^-1 (y - mean).
    solve_transposed(factor, rest.values);
    const std::vector<double>& alpha = rest.values;
    Triangle inverse_factor(size_);
    for (size_t column = 0; column < size_; ++column) {
      inverse_factor[column][column] = 1 / factor[column][column];
      for (size_t a = column + 1; a < size_; ++a) {
        double sum = 0;
        for (size_t k = column; k < a; ++k)
          sum -= factor[a][k] * inverse_factor[k][column];
        inverse_factor[a][column] = sum / factor[a][a];
      }
    }
    Triangle inverse(size_);
    for (size_t k = 0; k < size_; ++k)
      for (size_t a = 0; a <= k; ++a) {
        const double scale = inverse_factor[k][a];
        for (size_t b = 0; b <= a; ++b)
          inverse[a][b] += scale * inverse_factor[k][b];
      }
    std::vector<double> gradient(dimensions_ + 1);
    const float* differs = differs_.data();
    for (size_t a = 0; a < size_; ++a) {
      for (size_t b = 0; b < a; ++b, differs += dimensions_) {
        // Both halves of the symmetric matrix; the length stands in the distance as l^-2.
        const double pull = (alpha[a] * alpha[b] / rest.variance - inverse[a][b]) *
                            kernel_slope(distances[a][b]) * -2;
        for (size_t d = 0; d < dimensions_; ++d)
          gradient[d] += pull * differs[d] * weights[d];
      }
      gradient[dimensions_] += 0.5 * (alpha[a] * alpha[a] / rest.variance - inverse[a][a]) * noise;
    }
    for (size_t d = 0; d < dimensions_; ++d)
      gradient[d] -= (at.log_lengths[d] - std::log(kPriorLength)) / square(kPriorSpread);
    gradient[dimensions_] -= (at.log_noise - std::log(kPriorNoise)) / square(kNoiseSpread);
    return gradient;
  }

  std::span<const double> responses_;
  size_t size_;
  size_t dimensions_;
  std::vector<float> differs_; ///< per pair and parameter: 1 where they differ
};

/// Resilient gradient ascent: only the signs count, each variable has a step of its own. Keeps the
/// best point it saw.
void fit(Hyperparameters& at, const Posterior& posterior, int steps) {
  const size_t size = at.log_lengths.size() + 1;
  const auto variable = [&](size_t i) -> double& {
    return i + 1 == size ? at.log_noise : at.log_lengths[i];
  };
  std::vector<double> step(size, 0.15);
  std::vector<double> gradient;
  std::vector<double> previous(size, 0.0);
  Hyperparameters best = at;
  double best_value = -std::numeric_limits<double>::infinity();
  for (int i = 0;; ++i) {
    const double value = posterior.evaluate(at, i < steps ? &gradient : nullptr);
    if (value > best_value) {
      best_value = value;
      best = at;
    }
    if (i == steps)
      break;
    for (size_t v = 0; v < size; ++v) {
      const double turn = gradient[v] * previous[v];
      if (turn > 0)
        step[v] = std::min(step[v] * 1.3, 0.6);
      else if (turn < 0)
        step[v] *= 0.5;
      const double sign = gradient[v] > 0 ? 1 : gradient[v] < 0 ? -1 : 0;
      // Beyond these a length or the noise makes no difference any more.
      const bool noise = v + 1 == size;
      variable(v) =
          std::clamp(variable(v) + sign * step[v], noise ? -9.0 : -3.0, noise ? 0.0 : 3.0);
      previous[v] = gradient[v];
    }
  }
  at = best;
}

/// Mean and variance of the process at some rows of the space, trial by trial.
class Predictor {
public:
  /// Predicts `rows` from now on; the trials so far are forgotten.
  void reset(const Configurations& space, const Hyperparameters& at, std::vector<size_t> rows) {
    rows_ = std::move(rows);
    weights_.clear();
    for (double length : at.log_lengths)
      weights_.push_back(static_cast<float>(std::exp(-2 * length)));
    noise_ = std::exp(at.log_noise);
    columns_.assign(space.dimensions(), {});
    for (size_t d = 0; d < space.dimensions(); ++d) {
      const std::span<const uint16_t> column = space.column(d);
      for (size_t row : rows_)
        columns_[d].push_back(column[row]);
    }
    trials_.clear();
    factor_.clear();
    solved_.clear();
    left_.assign(rows_.size(), 1.0F);
  }

  /// Another trial: one more row of the factor, and of L^-1 K(trials, rows).
  void add(const Configurations& space, size_t trial) {
    const size_t count = trials_.size();
    std::vector<double> row(count + 1);
    double diagonal = 1 + noise_;
    for (size_t a = 0; a < count; ++a) {
      double d2 = 0;
      for (size_t d = 0; d < weights_.size(); ++d)
        d2 += space.code(trial, d) != space.code(trials_[a], d) ? weights_[d] : 0;
      double sum = kernel(d2);
      for (size_t k = 0; k < a; ++k)
        sum -= row[k] * factor_[a][k];
      row[a] = sum / factor_[a][a];
      diagonal -= row[a] * row[a];
    }
    row[count] = std::sqrt(std::max(diagonal, 1e-10));

    std::vector<float> solved(rows_.size());
    for (size_t d = 0; d < weights_.size(); ++d) {
      const uint16_t code = space.code(trial, d);
      const uint16_t* column = columns_[d].data();
      const float weight = weights_[d];
      for (size_t i = 0; i < solved.size(); ++i)
        solved[i] += column[i] != code ? weight : 0.0F;
    }
    for (float& value : solved)
      value = static_cast<float>(kernel(value));
    for (size_t k = 0; k < count; ++k) {
      const auto scale = static_cast<float>(row[k]);
      const float* earlier = solved_[k].data();
      for (size_t i = 0; i < solved.size(); ++i)
        solved[i] -= scale * earlier[i];
    }
    const auto inverse = static_cast<float>(1 / row[count]);
    for (size_t i = 0; i < solved.size(); ++i) {
      solved[i] *= inverse;
      left_[i] -= solved[i] * solved[i];
    }
    trials_.push_back(trial);
    factor_.push_back(std::move(row));
    solved_.push_back(std::move(solved));
  }

  /// Only these of the rows in sight (indices into rows(), ascending) from now on.
  void keep(const std::vector<size_t>& indices) {
    const auto thin = [&](auto& values) {
      for (size_t i = 0; i < indices.size(); ++i)
        values[i] = values[indices[i]];
      values.resize(indices.size());
    };
    thin(rows_);
    thin(left_);
    for (std::vector<uint16_t>& column : columns_)
      thin(column);
    for (std::vector<float>& solved : solved_)
      thin(solved);
  }

  struct Prediction {
    std::vector<float> mean;      ///< per row
    std::vector<float> deviation; ///< standard deviation, without noise
  };

  /// `responses`: of the trials, in the order in which they were added.
  Prediction predict(std::span<const double> responses) const {
    TEMPER_CHECK(responses.size() == trials_.size(), "one response a trial");
    Triangle factor(trials_.size());
    for (size_t a = 0; a < trials_.size(); ++a)
      std::copy(factor_[a].begin(), factor_[a].end(), factor[a]);
    const Residual rest = residual(factor, responses);
    Prediction result;
    result.mean.assign(rows_.size(), static_cast<float>(rest.mean));
    for (size_t k = 0; k < trials_.size(); ++k) {
      const auto scale = static_cast<float>(rest.values[k]);
      const float* solved = solved_[k].data();
      for (size_t i = 0; i < rows_.size(); ++i)
        result.mean[i] += scale * solved[i];
    }
    const double signal = std::sqrt(rest.variance);
    for (float left : left_)
      result.deviation.push_back(static_cast<float>(signal * std::sqrt(std::max(left, 1e-6F))));
    return result;
  }

  std::span<const size_t> rows() const { return rows_; }

private:
  std::vector<size_t> rows_;
  std::vector<std::vector<uint16_t>> columns_; ///< codes of rows_, per dimension
  std::vector<float> weights_;                 ///< l^-2
  double noise_ = 0;
  std::vector<size_t> trials_;
  std::vector<std::vector<double>> factor_;
  std::vector<std::vector<float>> solved_; ///< L^-1 K(trials, rows_), per trial
  std::vector<float> left_;                ///< variance that is left at rows_, of 1
};

/// The logarithm of the expected improvement on `best`; finite also where the improvement itself
/// would vanish.
double log_improvement(double best, double mean, double deviation) {
  const double z = (best - mean) / deviation;
  if (z < -5) // the tail's expansion: phi(z) / z^2
    return std::log(deviation) - 0.5 * z * z - 2 * std::log(-z) - 0.9189385;
  const double density = 0.39894228 * std::exp(-0.5 * z * z);
  return std::log(deviation * (z * 0.5 * std::erfc(-z * 0.70710678) + density));
}

class SurrogateConfigurations final : public ConfigurationStrategy {
public:
  explicit SurrogateConfigurations(const Configurations& space)
      : space_(space), random_(make_random_configurations(space)), tried_(space.size(), 0),
        at_(space.dimensions()) {}
  const char* name() const override { return "surrogate"; }

  std::optional<size_t> propose(std::span<const ConfigurationTrial> trials,
                                Random& random) override {
    for (; seen_ < trials.size(); ++seen_) {
      tried_[trials[seen_].row] = 1;
      valid_ += std::isfinite(trials[seen_].seconds) ? 1 : 0;
    }
    if (seen_ >= space_.size())
      return std::nullopt;
    if (seen_ < kStart)
      return distant(trials, random);
    if (valid_ < 2)
      return random_->propose(trials, random);

    const std::vector<double> responses = cut_responses(trials);
    if (seen_ >= next_fit_)
      refit(trials, responses, random);
    for (; modelled_ < seen_; ++modelled_) {
      predictor_.add(space_, trials[modelled_].row);
      model_trials_.push_back(modelled_);
    }
    if (const std::optional<size_t> row = best_row(responses))
      return row;
    // The active set is used up before the next refit.
    refit(trials, responses, random);
    const std::optional<size_t> row = best_row(responses);
    return row ? row : random_->propose(trials, random);
  }

private:
  /// Of some rows by chance, the one that differs most from its nearest trial.
  std::optional<size_t> distant(std::span<const ConfigurationTrial> trials, Random& random) {
    std::optional<size_t> chosen;
    size_t chosen_distance = 0;
    for (int draw = 0; draw < (trials.empty() ? 1 : kStartDraws); ++draw) {
      const auto row = static_cast<size_t>(random.below(static_cast<int64_t>(space_.size())));
      if (tried_[row] != 0)
        continue;
      size_t nearest = space_.dimensions();
      for (const ConfigurationTrial& trial : trials) {
        size_t differing = 0;
        for (size_t d = 0; d < space_.dimensions(); ++d)
          differing += space_.code(row, d) != space_.code(trial.row, d) ? 1 : 0;
        nearest = std::min(nearest, differing);
      }
      if (!chosen || nearest > chosen_distance) {
        chosen = row;
        chosen_distance = nearest;
      }
    }
    return chosen ? chosen : random_->propose(trials, random);
  }

  /// Log times, cut at a quantile, with mean 0 and variance 1.
  static std::vector<double> cut_responses(std::span<const ConfigurationTrial> trials) {
    double best = std::numeric_limits<double>::infinity();
    for (const ConfigurationTrial& trial : trials)
      best = std::min(best, trial.seconds);
    std::vector<double> responses;
    std::vector<double> valid;
    for (const ConfigurationTrial& trial : trials) {
      responses.push_back(std::log(trial.seconds / best)); // infinite where it failed
      if (std::isfinite(trial.seconds))
        valid.push_back(responses.back());
    }
    std::sort(valid.begin(), valid.end());
    const double cut =
        valid[static_cast<size_t>(std::lround(kCut * static_cast<double>(valid.size() - 1)))];
    for (double& response : responses)
      response = std::min(response, cut);
    const auto count = static_cast<double>(responses.size());
    const double mean = std::accumulate(responses.begin(), responses.end(), 0.0) / count;
    double squares = 0;
    for (double response : responses)
      squares += (response - mean) * (response - mean);
    const double scale = std::sqrt(squares / count) + 1e-9;
    for (double& response : responses)
      response = (response - mean) / scale;
    return responses;
  }

  /// `count` of `trials` (indices): the best, a share of `best_share`, and others by chance.
  static std::vector<size_t> selection(std::vector<size_t> trials,
                                       const std::vector<double>& responses, size_t count,
                                       double best_share, Random& random) {
    if (trials.size() <= count)
      return trials;
    std::stable_sort(trials.begin(), trials.end(),
                     [&](size_t a, size_t b) { return responses[a] < responses[b]; });
    const auto best = static_cast<size_t>(best_share * static_cast<double>(count));
    for (size_t i = best; i < count; ++i)
      std::swap(
          trials[i],
          trials[i + static_cast<size_t>(random.below(static_cast<int64_t>(trials.size() - i)))]);
    trials.resize(count);
    return trials;
  }

  /// Fits the hyper-parameters, predicts all rows, and keeps those in sight that look best.
  void refit(std::span<const ConfigurationTrial> trials, const std::vector<double>& responses,
             Random& random) {
    std::vector<size_t> every(trials.size());
    std::iota(every.begin(), every.end(), size_t{0});
    model_trials_ = selection(std::move(every), responses, kModelRows, kModelBest, random);
    std::vector<size_t> fit_rows;
    std::vector<double> fit_responses;
    for (size_t trial : selection(model_trials_, responses, kFitRows, 0.5, random)) {
      fit_rows.push_back(trials[trial].row);
      fit_responses.push_back(responses[trial]);
    }
    fit(at_, Posterior(space_, fit_rows, fit_responses), next_fit_ == 0 ? kFirstSteps : kSteps);

    std::vector<size_t> rows;
    for (size_t row = 0; row < space_.size(); ++row)
      if (tried_[row] == 0)
        rows.push_back(row);
    predictor_.reset(space_, at_, std::move(rows));
    for (size_t trial : model_trials_)
      predictor_.add(space_, trials[trial].row);
    modelled_ = trials.size();
    const double growth = trials.size() < kOften ? kRefitGrowth : kLateGrowth;
    next_fit_ = std::max(trials.size() + 1,
                         static_cast<size_t>(static_cast<double>(trials.size()) * growth));
    if (predictor_.rows().size() <= kActiveRows)
      return;
    const std::vector<double> scores = improvements(responses);
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::nth_element(
        order.begin(), order.begin() + kActiveRows, order.end(),
        [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    order.resize(kActiveRows);
    std::sort(order.begin(), order.end());
    predictor_.keep(order);
  }

  /// Per row in sight the logarithm of its expected improvement. `responses`: of all trials.
  std::vector<double> improvements(const std::vector<double>& responses) const {
    std::vector<double> known;
    for (size_t trial : model_trials_)
      known.push_back(responses[trial]);
    const Predictor::Prediction prediction = predictor_.predict(known);
    const double best = *std::min_element(responses.begin(), responses.end());
    std::vector<double> scores;
    for (size_t i = 0; i < prediction.mean.size(); ++i)
      scores.push_back(log_improvement(best, prediction.mean[i], prediction.deviation[i]));
    return scores;
  }

  /// The row in sight with the largest expected improvement; of equals the first.
  std::optional<size_t> best_row(const std::vector<double>& responses) const {
    const std::vector<double> scores = improvements(responses);
    std::optional<size_t> chosen;
    double score = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const size_t row = predictor_.rows()[i];
      if (tried_[row] == 0 && (!chosen || scores[i] > score)) {
        chosen = row;
        score = scores[i];
      }
    }
    return chosen;
  }

  const Configurations& space_;
  std::unique_ptr<ConfigurationStrategy> random_;
  std::vector<char> tried_;
  size_t seen_ = 0;
  size_t valid_ = 0;
  Hyperparameters at_;
  size_t next_fit_ = 0;
  std::vector<size_t> model_trials_; ///< indices into the trials, as the predictor has them
  size_t modelled_ = 0;              ///< trials up to here were given to the predictor
  Predictor predictor_;
};

} // namespace

std::unique_ptr<ConfigurationStrategy> make_surrogate_configurations(const Configurations& space) {
  return std::make_unique<SurrogateConfigurations>(space);
}

} // namespace temper::tuner
