#include "fit/non_negative_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "fit/non_negative.h"

namespace shardlab {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kSmallError = 0.01;  // Huber's threshold.
constexpr int kRounds = 20;
constexpr double kSettled = 1e-5;  // Of the loss, from round to round.
constexpr int kReweightings = 50;

/// Huber's.
double loss(const VectorXd& errors) {
  return errors.cwiseAbs()
      .unaryExpr(
          [](double e) { return e <= kSmallError ? e * e : kSmallError * (2 * e - kSmallError); })
      .sum();
}

/// The model around some parameters, in fractions of what was measured.
struct Tangent {
  VectorXd values;
  MatrixXd slopes;  ///< A row per case, a column per parameter.
};

Tangent tangent(const std::vector<FitCase>& cases, const VectorXd& at, const VectorXd& steps,
                std::size_t threads) {
  const auto rows = static_cast<Index>(cases.size());
  Tangent result{VectorXd(rows), MatrixXd(rows, at.size())};
  parallel_for(cases.size(), threads, [&](std::size_t i) {
    const FitCase& each = cases[i];
    const auto row = static_cast<Index>(i);
    const double here = each.model(at);
    result.values[row] = here / each.measured;
    for (Index p = 0; p < at.size(); ++p) {
      VectorXd there = at;
      there[p] += steps[p];
      result.slopes(row, p) = (each.model(there) - here) / (steps[p] * each.measured);
    }
  });
  return result;
}

/// The x without negative entries for which the errors slopes * x - wanted have the least sum of
/// Huber's losses, by weights that shrink with the error.
VectorXd non_negative_huber(const MatrixXd& slopes, const VectorXd& wanted) {
  VectorXd found = non_negative_least_squares(slopes, wanted);
  for (int i = 0; i < kReweightings; ++i) {
    const VectorXd errors = (slopes * found - wanted).cwiseAbs();
    const VectorXd weights = errors.unaryExpr(
        [](double e) { return e <= kSmallError ? 1.0 : std::sqrt(kSmallError / e); });
    found = non_negative_least_squares(weights.asDiagonal() * slopes, weights.cwiseProduct(wanted));
  }
  return found;
}

}  // namespace

NonNegativeFit fit_non_negative_from(const VectorXd& start, const std::vector<FitCase>& cases,
                                     const VectorXd& steps, std::size_t threads) {
  VectorXd at = start;
  NonNegativeFit best{start, std::numeric_limits<double>::infinity()};
  double before = best.loss;
  for (int round = 0; round < kRounds; ++round) {
    const Tangent here = tangent(cases, at, steps, threads);
    const VectorXd missing = VectorXd::Ones(here.values.size()) - here.values;
    const double now = loss(missing);
    if (now < best.loss) best = {at, now};
    // Slopes of whole nanoseconds are never quite the same twice.
    if (std::abs(before - now) <= kSettled * now) break;
    before = now;
    const VectorXd next = non_negative_huber(here.slopes, missing + here.slopes * at);
    if (((next - at).cwiseAbs().array() < 1e-3 * steps.array()).all()) break;
    at = next;
  }
  return best;
}

VectorXd fit_non_negative(const std::vector<FitCase>& cases, const VectorXd& steps,
                          std::size_t threads) {
  return fit_non_negative_from(VectorXd::Zero(steps.size()), cases, steps, threads).parameters;
}

}  // namespace shardlab
