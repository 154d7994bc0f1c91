#include "policies/losses.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/counter_hash.h"

namespace shardlab {

double loss_at(const LearningCurve& curve, std::int64_t minibatches) {
  const auto right =
      std::lower_bound(curve.begin(), curve.end(), minibatches,
                       [](const CurvePoint& point, std::int64_t n) { return point.minibatch < n; });
  if (right == curve.end()) return curve.back().loss;
  if (right == curve.begin()) return right->loss;
  const CurvePoint& left = *(right - 1);
  const double way = static_cast<double>(minibatches - left.minibatch) /
                     static_cast<double>(right->minibatch - left.minibatch);
  return left.loss + way * (right->loss - left.loss);
}

double drawn_loss(std::uint64_t seed, JobId job, std::int64_t minibatches) {
  const auto draw = [&](std::uint64_t what, std::int64_t of, double from, double to) {
    const auto key = counter_hash({seed, index(job), what, static_cast<std::uint64_t>(of)});
    return from + (to - from) * unit_interval(key);
  };
  const double noise = draw(3, minibatches, -0.02, 0.02);
  return draw(0, 0, 0.5, 1.5) +
         draw(1, 0, 1, 4) * std::pow(static_cast<double>(minibatches), -draw(2, 0, 0.2, 1)) + noise;
}

LossOf losses(const EarlyStop& from) {
  if (from.curves.empty()) {
    return [seed = from.seed](JobId job, std::int64_t n) { return drawn_loss(seed, job, n); };
  }
  return [&from](JobId job, std::int64_t n) { return loss_at(from.curves.at(index(job)), n); };
}

void MeasuredLosses::add(JobId job, std::int64_t minibatches, double loss) {
  auto& known = losses_.at(index(job));
  known.resize(static_cast<std::size_t>(minibatches) - 1);
  known.push_back(loss);
}

double MeasuredLosses::after(JobId job, std::int64_t minibatches) const {
  const auto& known = losses_.at(index(job));
  const auto count = std::min(static_cast<std::size_t>(minibatches), known.size());
  if (count == 0) return std::numeric_limits<double>::infinity();
  const auto end = known.begin() + static_cast<std::ptrdiff_t>(count);
  const auto half = static_cast<std::ptrdiff_t>((count + 1) / 2);
  return std::accumulate(end - half, end, 0.0) / static_cast<double>(half);
}

}  // namespace shardlab
