#pragma once

#include <optional>
#include <vector>

#include "core/profile.h"
#include "fit/device_ratio.h"
#include "fit/layer_work.h"

namespace shardlab {

/// A measured size, guessed from all others.
struct HeldOut {
  Shape shape;
  double predicted = 0, measured = 0;  ///< A minibatch, in ns.
  double distance = 0;                 ///< See Guess.

  [[nodiscard]] double error() const;  ///< Relative, of the measured time; not negative.
};

/// Estimates costs of sizes that no profile holds from those measured on one device.
///
/// The interval of an estimate holds nine of ten true times, either way a factor of 1 + interval.
/// It is the smaller of two: what any law without negative rates allows, and what held-out sizes
/// say (Student's t of the root mean square of their logarithms, wider in proportion where a guess
/// goes further than they did), but not below their median error; plus the measured spread.
class Estimator {
 public:
  /// What is estimated itself in `models` is passed over.
  explicit Estimator(const std::vector<ModelProfile>& models);

  /// Throws Error when nothing comparable was measured.
  [[nodiscard]] ModelProfile estimate(const Shape& shape) const;

  /// The same on another device, by the rates of both; `costs` are of this one. Launches stay.
  [[nodiscard]] ModelProfile on_device(ModelProfile costs, const RooflineRatio& ratio) const;

  /// Every measured size that has another comparable one.
  [[nodiscard]] const std::vector<HeldOut>& held_out() const { return held_out_; }

 private:
  /// Of the same precision; transformers, or mlps.
  [[nodiscard]] std::vector<const ModelProfile*> family(const ModelSpec& model) const;
  [[nodiscard]] std::optional<double> tested_interval(const Shape& shape, double distance) const;
  void hold_out();

  std::vector<ModelProfile> measured_;
  std::vector<HeldOut> held_out_;
};

/// Median of the errors; nothing where none was held out.
std::optional<double> median_error(const std::vector<HeldOut>& held_out);

}  // namespace shardlab
