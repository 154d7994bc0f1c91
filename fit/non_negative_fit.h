#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include <Eigen/Core>

namespace shardlab {

/// Something measured, and what a model with some parameters says it is.
struct FitCase {
  double measured = 0;                                  ///< Positive.
  std::function<double(const Eigen::VectorXd&)> model;  ///< May be called by several threads.
};

struct NonNegativeFit {
  Eigen::VectorXd parameters;
  double loss = 0;  ///< What was made least.
};

/// Parameters, none negative, for which the models come closest to what was measured: the least sum
/// of Huber's losses of relative errors. Up to 1 % an error counts by its square, beyond by its
/// size, so that a minority of cases that the model cannot explain does not pull the others along.
///
/// Gauss-Newton from `start`, which has no negative entry; the best point on its way. `steps`, one
/// per parameter, are the differences by which slopes are taken; a thousandth of one is the
/// accuracy. A parameter that no case depends on becomes zero.
NonNegativeFit fit_non_negative_from(const Eigen::VectorXd& start,
                                     const std::vector<FitCase>& cases,
                                     const Eigen::VectorXd& steps, std::size_t threads);

/// The parameters found from zero.
Eigen::VectorXd fit_non_negative(const std::vector<FitCase>& cases, const Eigen::VectorXd& steps,
                                 std::size_t threads);

}  // namespace shardlab
