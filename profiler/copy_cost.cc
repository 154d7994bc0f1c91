#include "profiler/copy_cost.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <Eigen/Dense>

#include "core/error.h"
#include "profiler/samples.h"

namespace shardlab {
std::vector<CopySample> medians(std::span<const CopySample> samples) {
  std::map<Bytes, Samples> by_size;
  for (const CopySample& sample : samples) by_size[sample.bytes].push_back(sample.time);
  std::vector<CopySample> result;
  for (auto& [bytes, times] : by_size)
    result.push_back({bytes, summarize(std::move(times)).median});
  return result;
}

CopyCost fit_copy_cost(std::span<const CopySample> samples) {
  const std::vector<CopySample> by_size = medians(samples);
  if (by_size.size() < 2)
    throw Error("copies of at least two sizes are needed to fit latency and rate");

  // Each row is divided by its time, so that the residual is the relative error.
  Eigen::MatrixX2d rows(by_size.size(), 2);
  Eigen::Index row = 0;
  for (const auto& [bytes, median] : by_size) {
    const double time = std::max(seconds(median), 1e-9);
    rows.row(row++) << 1.0 / time, static_cast<double>(bytes) / time;
  }
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(rows.rows());
  Eigen::Vector2d line = rows.colPivHouseholderQr().solve(ones);
  if (line[0] < 0 || line[1] <= 0) {
    const Eigen::VectorXd slope = rows.col(1);
    line << 0.0, slope.dot(ones) / slope.squaredNorm();
  }
  return {Duration(std::llround(line[0] * 1e9)), 1.0 / line[1]};
}

double worst_residual(std::span<const CopySample> samples, const CopyCost& cost) {
  double worst = 0;
  for (const auto& [bytes, median] : medians(samples)) {
    const double fitted =
        seconds(cost.latency) + static_cast<double>(bytes) / cost.bytes_per_second;
    worst = std::max(worst, std::abs(fitted / std::max(seconds(median), 1e-9) - 1));
  }
  return worst;
}

}  // namespace shardlab
