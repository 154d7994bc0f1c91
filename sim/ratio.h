#pragma once

#include <memory>
#include <variant>
#include <vector>

namespace shardlab {

// How a true duration relates to its estimate: distributions of a ratio. Each is a function of one
// uniform number `u` in (0, 1) and grows with it (inverse transform), so that two simulations that
// draw by the same keys have slow units in the same places. Means are 1, samples' excepted.

struct Fixed {
  double operator()(double) const { return 1; }
};

/// Normal, given that it is above 0: what lies below is cut off and the rest widened again so that
/// mean and coefficient of variation are as asked for.
class TruncatedNormal {
 public:
  /// Requires 0 < cv <= kMostCv: cutting leaves no wider one.
  explicit TruncatedNormal(double cv);
  double operator()(double u) const;

  static constexpr double kMostCv = 0.9;

 private:
  double cut_;    // Where 0 is, in standard deviations from the uncut mean.
  double above_;  // Probability above it.
  double scale_;  // Uncut standard deviation.
};

/// The logarithm is normal.
class Lognormal {
 public:
  explicit Lognormal(double cv);
  double operator()(double u) const;

 private:
  double sigma_;  // Standard deviation of the logarithm.
};

/// Of shape 1/cv²; the exponential at cv = 1, Erlang's at 1/√k.
class Gamma {
 public:
  /// Requires kLeastCv <= cv <= kMostCv: beyond, the inverse loses digits.
  explicit Gamma(double cv);
  double operator()(double u) const;

  static constexpr double kLeastCv = 0.01, kMostCv = 3;

 private:
  [[nodiscard]] double first_guess(double u) const;

  double shape_;
  double log_gamma_;  // Of the shape.
};

/// Coefficient of variation 1.
struct Exponential {
  double operator()(double u) const;
};

/// One of the given ratios, each as likely.
class Resampled {
 public:
  /// Requires: not empty. Copies share them.
  explicit Resampled(std::vector<double> ratios);
  double operator()(double u) const;
  [[nodiscard]] const std::vector<double>& ratios() const { return *ratios_; }  ///< Ascending.

 private:
  std::shared_ptr<const std::vector<double>> ratios_;
};

using Ratio = std::variant<Fixed, TruncatedNormal, Lognormal, Gamma, Exponential, Resampled>;

/// `u` in (0, 1).
double draw(const Ratio& ratio, double u);

}  // namespace shardlab
