#include "tuner/cost/cost_model.h"

#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::tuner {
namespace {

Error xgboost_error(const char* what) {
  return {ErrorCode::kFailed, std::string("XGBoost could not ") + what + ": " + XGBGetLastError()};
}

/// The array interface that XGBoost reads matrices through.
std::string array_interface(const float* data, size_t rows, size_t columns) {
  return "{\"data\":[" + std::to_string(reinterpret_cast<uintptr_t>(data)) + ",true],\"shape\":[" +
         std::to_string(rows) + "," + std::to_string(columns) +
         "],\"typestr\":\"<f4\",\"version\":3}";
}

struct MatrixHandle {
  DMatrixHandle handle = nullptr;
  ~MatrixHandle() {
    if (handle != nullptr)
      XGDMatrixFree(handle);
  }
};

class XgboostModel final : public CostModel {
public:
  explicit XgboostModel(const XgboostOptions& options) : options_(options) {}
  ~XgboostModel() override {
    if (booster_ != nullptr)
      XGBoosterFree(booster_);
  }
  XgboostModel(const XgboostModel&) = delete;
  XgboostModel& operator=(const XgboostModel&) = delete;

  const char* name() const override { return "xgboost"; }
  bool is_trained() const override { return booster_ != nullptr; }

  void update(std::span<const CostSample> samples) override {
    for (const CostSample& sample : samples) {
      rows_.push_back(sample.features.rows);
      values_.insert(values_.end(), sample.features.values.begin(), sample.features.values.end());
      if (sample.counted)
        neighbours_.add(sample.features, *sample.counted);
      const bool valid = std::isfinite(sample.seconds) && sample.seconds > 0;
      seconds_.push_back(valid ? sample.seconds : std::numeric_limits<double>::infinity());
    }
    // A model that cannot be trained is no reason to stop a run: the search goes on by chance.
    if (Result<void> trained = train(); !trained && booster_ != nullptr) {
      XGBoosterFree(booster_);
      booster_ = nullptr;
    }
  }

  std::vector<double> predict(std::span<const FeatureMatrix* const> candidates) override {
    std::vector<double> scores(candidates.size());
    if (booster_ == nullptr)
      return scores;
    size_t rows = 0;
    const std::vector<float> values = table_of(candidates, rows);
    if (rows == 0)
      return scores;
    const std::string array = array_interface(values.data(), rows, width_);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    if (XGBoosterPredictFromDense(
            booster_, array.c_str(),
            R"({"type":1,"training":false,"iteration_begin":0,"iteration_end":0,)"
            R"("strict_shape":false,"missing":NaN,"cache_id":0})",
            nullptr, &shape, &dimensions, &result) != 0)
      return scores;
    size_t row = 0;
    for (size_t i = 0; i < candidates.size(); ++i)
      for (int r = 0; r < candidates[i]->rows; ++r)
        scores[i] += result[row++];
    return scores;
  }

  std::vector<std::vector<double>>
  contributions(std::span<const FeatureMatrix* const> candidates) override {
    size_t rows = 0;
    const std::vector<float> values = table_of(candidates, rows);
    // Predicting in place gives no contributions.
    MatrixHandle matrix;
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    if (booster_ == nullptr || rows == 0 ||
        XGDMatrixCreateFromDense(array_interface(values.data(), rows, width_).c_str(),
                                 R"({"missing":NaN,"nthread":1})", &matrix.handle) != 0 ||
        XGBoosterPredictFromDMatrix(booster_, matrix.handle,
                                    R"({"type":2,"training":false,"iteration_begin":0,)"
                                    R"("iteration_end":0,"strict_shape":false})",
                                    &shape, &dimensions, &result) != 0 ||
        dimensions != 2 || shape[0] != rows || shape[1] != width_ + 1)
      return {};
    std::vector<std::vector<double>> sums;
    size_t row = 0;
    for (const FeatureMatrix* candidate : candidates) {
      std::vector<double>& sum = sums.emplace_back(width_, 0.0);
      for (int r = 0; r < candidate->rows; ++r, ++row)
        for (size_t i = 0; i < width_; ++i)
          sum[i] += static_cast<double>(result[row * (width_ + 1) + i]);
    }
    return sums;
  }

  std::string save() const override {
    if (booster_ == nullptr)
      return {};
    bst_ulong length = 0;
    const char* bytes = nullptr;
    if (XGBoosterSaveModelToBuffer(booster_, R"({"format":"ubj"})", &length, &bytes) != 0)
      return {};
    return {bytes, length};
  }

private:
  /// One row per statement, width_ wide, with what the nearest counted ones say at its end.
  std::vector<float> table_of(std::span<const FeatureMatrix* const> candidates,
                              size_t& rows) const {
    rows = 0;
    for (const FeatureMatrix* candidate : candidates)
      rows += static_cast<size_t>(candidate->rows);
    std::vector<float> values;
    values.reserve(rows * width_);
    for (const FeatureMatrix* candidate : candidates) {
      if (width_ == kFeatureCount) {
        values.insert(values.end(), candidate->values.begin(), candidate->values.end());
        continue;
      }
      const auto counted = neighbours_.of(*candidate);
      for (int row = 0; row < candidate->rows; ++row) {
        const auto own = candidate->row(row);
        values.insert(values.end(), own.begin(), own.end());
        values.insert(values.end(), counted.begin(), counted.end());
      }
    }
    return values;
  }

  /// The samples as a table. What the neighbours of each say changes with every one that is
  /// counted.
  std::vector<float> training_table() const {
    std::vector<FeatureMatrix> samples;
    std::vector<const FeatureMatrix*> each;
    samples.reserve(rows_.size());
    auto begin = values_.begin();
    for (const int count : rows_) {
      const auto end = begin + static_cast<std::ptrdiff_t>(count) * kFeatureCount;
      samples.push_back({count, std::vector<float>(begin, end)});
      each.push_back(&samples.back());
      begin = end;
    }
    size_t rows = 0;
    return table_of(each, rows);
  }

  Result<void> train() {
    const double best = *std::min_element(seconds_.begin(), seconds_.end());
    if (!std::isfinite(best))
      return {}; // nothing has worked yet
    const size_t rows = values_.size() / kFeatureCount;
    width_ = kFeatureCount + (neighbours_.is_known() ? kNeighbourFeatures : 0);
    const std::vector<float> wide =
        neighbours_.is_known() ? training_table() : std::vector<float>();
    const std::vector<float>& table = wide.empty() ? values_ : wide;
    MatrixHandle matrix;
    if (XGDMatrixCreateFromDense(array_interface(table.data(), rows, width_).c_str(),
                                 R"({"missing":NaN,"nthread":1})", &matrix.handle) != 0)
      return xgboost_error("make a matrix");
    std::vector<float> labels;
    for (size_t i = 0; i < rows_.size(); ++i)
      labels.insert(labels.end(), static_cast<size_t>(rows_[i]),
                    static_cast<float>(best / seconds_[i]));
    if (XGDMatrixSetFloatInfo(matrix.handle, "label", labels.data(), rows) != 0)
      return xgboost_error("set labels");

    BoosterHandle booster = nullptr;
    if (XGBoosterCreate(&matrix.handle, 1, &booster) != 0)
      return xgboost_error("make a booster");
    const auto set = [&](const char* key, const std::string& value) {
      XGBoosterSetParam(booster, key, value.c_str());
    };
    set("tree_method", "hist");
    set("max_depth", std::to_string(options_.max_depth));
    set("eta", std::to_string(options_.learning_rate));
    set("gamma", "0.001");
    set("min_child_weight", "0");
    // With an objective of our own the default of 0.5 would be added once per row.
    set("base_score", "0");
    // One thread: libgomp's barriers spin, which costs 4 to 11 times on a shared machine.
    set("nthread", "1");
    set("seed", std::to_string(options_.seed));
    set("verbosity", "0");

    std::vector<float> gradient(rows);
    std::vector<float> hessian(rows);
    for (int round = 0; round < options_.rounds; ++round) {
      const bst_ulong* shape = nullptr;
      bst_ulong dimensions = 0;
      const float* prediction = nullptr;
      if (XGBoosterPredictFromDMatrix(booster, matrix.handle,
                                      R"({"type":1,"training":true,"iteration_begin":0,)"
                                      R"("iteration_end":0,"strict_shape":false})",
                                      &shape, &dimensions, &prediction) != 0) {
        XGBoosterFree(booster);
        return xgboost_error("predict");
      }
      // Pack-sum: gradient (sum - y) * y, hessian y, the same for each row of a candidate.
      size_t row = 0;
      for (int count : rows_) {
        double sum = 0;
        for (int r = 0; r < count; ++r)
          sum += prediction[row + static_cast<size_t>(r)];
        for (int r = 0; r < count; ++r, ++row) {
          const float y = labels[row];
          gradient[row] = static_cast<float>(sum - y) * y;
          hessian[row] = y;
        }
      }
      if (XGBoosterBoostOneIter(booster, matrix.handle, gradient.data(), hessian.data(), rows) !=
          0) {
        XGBoosterFree(booster);
        return xgboost_error("train");
      }
    }
    if (booster_ != nullptr)
      XGBoosterFree(booster_);
    booster_ = booster;
    return {};
  }

  XgboostOptions options_;
  std::vector<int> rows_; ///< statements per candidate
  std::vector<float> values_;
  std::vector<double> seconds_;
  CountedNeighbours neighbours_;
  size_t width_ = kFeatureCount; ///< of the rows that the booster was trained with
  BoosterHandle booster_ = nullptr;
};

} // namespace

Result<std::unique_ptr<CostModel>> make_xgboost_model(const XgboostOptions& options) {
  return std::unique_ptr<CostModel>(std::make_unique<XgboostModel>(options));
}

} // namespace temper::tuner
