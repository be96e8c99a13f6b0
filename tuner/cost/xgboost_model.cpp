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
    std::vector<float> values;
    size_t rows = 0;
    for (const FeatureMatrix* candidate : candidates)
      rows += static_cast<size_t>(candidate->rows);
    values.reserve(rows * kFeatureCount);
    for (const FeatureMatrix* candidate : candidates)
      values.insert(values.end(), candidate->values.begin(), candidate->values.end());
    if (rows == 0)
      return scores;
    const std::string array = array_interface(values.data(), rows, kFeatureCount);
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
    std::vector<float> values;
    size_t rows = 0;
    for (const FeatureMatrix* candidate : candidates) {
      rows += static_cast<size_t>(candidate->rows);
      values.insert(values.end(), candidate->values.begin(), candidate->values.end());
    }
    // Predicting in place gives no contributions.
    MatrixHandle matrix;
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    if (booster_ == nullptr || rows == 0 ||
        XGDMatrixCreateFromDense(array_interface(values.data(), rows, kFeatureCount).c_str(),
                                 R"({"missing":NaN,"nthread":1})", &matrix.handle) != 0 ||
        XGBoosterPredictFromDMatrix(booster_, matrix.handle,
                                    R"({"type":2,"training":false,"iteration_begin":0,)"
                                    R"("iteration_end":0,"strict_shape":false})",
                                    &shape, &dimensions, &result) != 0 ||
        dimensions != 2 || shape[0] != rows || shape[1] != kFeatureCount + 1)
      return {};
    std::vector<std::vector<double>> sums;
    size_t row = 0;
    for (const FeatureMatrix* candidate : candidates) {
      std::vector<double>& sum = sums.emplace_back(kFeatureCount, 0.0);
      for (int r = 0; r < candidate->rows; ++r, ++row)
        for (size_t i = 0; i < kFeatureCount; ++i)
          sum[i] += static_cast<double>(result[row * (kFeatureCount + 1) + i]);
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
  Result<void> train() {
    const double best = *std::min_element(seconds_.begin(), seconds_.end());
    if (!std::isfinite(best))
      return {}; // nothing has worked yet
    const size_t rows = values_.size() / kFeatureCount;
    MatrixHandle matrix;
    if (XGDMatrixCreateFromDense(array_interface(values_.data(), rows, kFeatureCount).c_str(),
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
  BoosterHandle booster_ = nullptr;
};

} // namespace

Result<std::unique_ptr<CostModel>> make_xgboost_model(const XgboostOptions& options) {
  return std::unique_ptr<CostModel>(std::make_unique<XgboostModel>(options));
}

} // namespace temper::tuner
