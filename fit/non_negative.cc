#include "fit/non_negative.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include <Eigen/QR>

namespace shardlab {
namespace {

class ActiveSet {
 public:
  ActiveSet(const Eigen::MatrixXd& a, const Eigen::VectorXd& b)
      : a_(a), b_(b), x_(Eigen::VectorXd::Zero(a.cols())), tolerance_(1e-12 * b.norm()) {}

  Eigen::VectorXd solve() {
    // Each round frees one and settles; the residual shrinks each time, so no set comes twice.
    // The limit is for rounding.
    for (Eigen::Index round = 0; round < 3 * a_.cols() && free_another(); ++round) settle();
    return x_;
  }

 private:
  [[nodiscard]] bool is_free(Eigen::Index j) const {
    return std::find(free_.begin(), free_.end(), j) != free_.end();
  }

  /// Frees the column along which the residual falls fastest; false when none is left.
  bool free_another() {
    const Eigen::VectorXd gain = a_.transpose() * (b_ - a_ * x_);
    Eigen::Index best = -1;
    for (Eigen::Index j = 0; j < gain.size(); ++j) {
      if (is_free(j) || gain[j] <= tolerance_) continue;
      if (best < 0 || gain[j] > gain[best]) best = j;
    }
    if (best >= 0) free_.push_back(best);
    return best >= 0;
  }

  /// Goes to the least squares of the free columns. One that would turn negative on the way stops
  /// there and is bound at 0 again.
  void settle() {
    while (!free_.empty()) {
      const Eigen::VectorXd goal = a_(Eigen::all, free_).colPivHouseholderQr().solve(b_);
      double step = 1;
      auto first = free_.end();
      for (auto j = free_.begin(); j != free_.end(); ++j) {
        const double from = x_[*j], to = goal[j - free_.begin()];
        if (to > 0 || (first != free_.end() && from / (from - to) >= step)) continue;
        step = from > 0 ? from / (from - to) : 0;
        first = j;
      }
      x_(free_) += step * (goal - x_(free_));
      if (first == free_.end()) return;
      x_[*first] = 0;
      free_.erase(first);
    }
  }

  const Eigen::MatrixXd& a_;
  const Eigen::VectorXd& b_;
  Eigen::VectorXd x_;
  double tolerance_;
  std::vector<Eigen::Index> free_;
};

}  // namespace

Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  assert(a.rows() == b.size());
  Eigen::VectorXd scale = a.colwise().norm();
  for (double& each : scale) {
    if (each == 0) each = 1;
  }
  const Eigen::MatrixXd scaled = a * scale.cwiseInverse().asDiagonal();
  return ActiveSet(scaled, b).solve().cwiseQuotient(scale);
}

}  // namespace shardlab
