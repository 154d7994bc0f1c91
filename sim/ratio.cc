#include "sim/ratio.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

#include <unsupported/Eigen/SpecialFunctions>

namespace shardlab {
namespace {

/// Of the standard normal distribution. Not the standard library's distribution, whose algorithm
/// differs between implementations.
double inverse_normal(double u) { return Eigen::numext::ndtri(u); }

/// Probability of a standard normal number above `x`.
double normal_above(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

/// Mean, from the cut on, of a standard normal number above `cut`.
double mean_excess(double cut) {
  const double density =
      std::exp(-0.5 * cut * cut) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return density / normal_above(cut) - cut;
}

/// Of what lies above `cut`, measured from there. Johnson, Kotz, Balakrishnan, Continuous
/// Univariate Distributions 1, 10.1: variance 1 − λ(λ − cut), with λ − cut the mean excess.
double cut_cv(double cut) {
  const double mean = mean_excess(cut);
  return std::sqrt(1 - (mean + cut) * mean) / mean;
}

}  // namespace

TruncatedNormal::TruncatedNormal(double cv) {
  assert(cv > 0 && cv <= kMostCv);
  double low = -2 / cv, high = 3;  // cut_cv grows from below cv to 0.94.
  while (true) {
    cut_ = low + (high - low) / 2;
    if (cut_ <= low || cut_ >= high) break;
    (cut_cv(cut_) < cv ? low : high) = cut_;
  }
  above_ = normal_above(cut_);
  scale_ = 1 / mean_excess(cut_);
}

double TruncatedNormal::operator()(double u) const {
  return std::max(0.0, scale_ * (-inverse_normal((1 - u) * above_) - cut_));
}

Lognormal::Lognormal(double cv) : sigma_(std::sqrt(std::log1p(cv * cv))) {}

double Lognormal::operator()(double u) const {
  return std::exp(sigma_ * (inverse_normal(u) - sigma_ / 2));
}

Gamma::Gamma(double cv) : shape_(1 / (cv * cv)), log_gamma_(Eigen::numext::lgamma(shape_)) {
  assert(cv >= kLeastCv && cv <= kMostCv);
}

/// Wilson and Hilferty, PNAS 17 (1931): the cube root is nearly normal. Far below, and for small
/// shapes, the distribution function is nearly x^shape / Γ(shape + 1).
double Gamma::first_guess(double u) const {
  const double spread = 1 / (9 * shape_);
  const double root = 1 - spread + inverse_normal(u) * std::sqrt(spread);
  const double cube = shape_ * root * root * root;
  if (root > 0.3) return cube;
  return std::exp((std::log(u * shape_) + log_gamma_) / shape_);
}

/// Newton's steps on the logarithm, halved into the bracket where they leave it; each tail by its
/// own probability, which has all digits.
double Gamma::operator()(double u) const {
  double low = -1e4, high = std::log(shape_ + 1000);
  double log_x = std::clamp(std::log(first_guess(u)), low, high);
  for (int step = 0; step < 100; ++step) {
    const double x = std::exp(log_x);
    const double error = u < 0.5 ? Eigen::numext::igamma(shape_, x) - u
                                 : (1 - u) - Eigen::numext::igammac(shape_, x);
    (error < 0 ? low : high) = log_x;
    const double slope = std::exp(shape_ * log_x - x - log_gamma_);  // Of P by log x.
    double next = log_x - error / slope;
    if (!(next > low && next < high)) next = (low + high) / 2;
    const bool close = std::abs(next - log_x) < 1e-13;
    log_x = next;
    if (close) break;
  }
  return std::exp(log_x) / shape_;
}

double Exponential::operator()(double u) const { return -std::log1p(-u); }

Resampled::Resampled(std::vector<double> ratios) {
  assert(!ratios.empty());
  std::sort(ratios.begin(), ratios.end());
  ratios_ = std::make_shared<const std::vector<double>>(std::move(ratios));
}

double Resampled::operator()(double u) const {
  const auto size = ratios_->size();
  return (*ratios_)[std::min(size - 1, static_cast<std::size_t>(u * static_cast<double>(size)))];
}

double draw(const Ratio& ratio, double u) {
  return std::visit([u](const auto& each) { return each(u); }, ratio);
}

}  // namespace shardlab
