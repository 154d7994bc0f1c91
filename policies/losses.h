#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/early_stop.h"
#include "core/ids.h"

namespace shardlab {

/// The loss of a job that has completed so many minibatches.
using LossOf = std::function<double(JobId job, std::int64_t minibatches)>;

/// Linear between the points of the curve, its first and last value held outside.
double loss_at(const LearningCurve& curve, std::int64_t minibatches);

/// a + b * n^-c and noise. a (0.5 to 1.5), b (1 to 4) and c (0.2 to 1) are uniform draws by
/// (seed, job), the noise (-0.02 to 0.02) by (seed, job, minibatch). The ranges are ours, made for
/// curves that cross.
double drawn_loss(std::uint64_t seed, JobId job, std::int64_t minibatches);

/// From the curves, where there are any, else drawn. Requires: `from` outlives the result.
LossOf losses(const EarlyStop& from);

/// Losses as a run measures them. That of one minibatch depends much on its data: so a job's loss
/// after n minibatches is the mean over the latter half of them, the middle one included.
class MeasuredLosses {
 public:
  explicit MeasuredLosses(std::size_t jobs = 0) : losses_(jobs) {}

  /// Of the last of so many minibatches. What was known of it and those after it is forgotten.
  /// Requires those before it.
  void add(JobId job, std::int64_t minibatches, double loss);
  /// Of fewer, where not so many are known; infinite where none is.
  [[nodiscard]] double after(JobId job, std::int64_t minibatches) const;

 private:
  std::vector<std::vector<double>> losses_;
};

}  // namespace shardlab
