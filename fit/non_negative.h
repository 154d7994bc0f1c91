#pragma once

#include <Eigen/Core>

namespace shardlab {

/// The x >= 0 for which |a x - b| is least: the active-set method of Lawson and Hanson, "Solving
/// Least Squares Problems" (1974), chapter 23. The scale of a column does not matter; one of zeros
/// gets 0. Requires: as many rows in `a` as in `b`, and finite entries.
Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

}  // namespace shardlab
