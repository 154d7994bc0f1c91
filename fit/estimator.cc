#include "fit/estimator.h"

#include <algorithm>
#include <cmath>

#include "core/quantile.h"
#include "fit/guess.h"
#include "report/statistics.h"

namespace shardlab {
namespace {

/// A minibatch's, if all layers were slow at once: nine of ten of a normal distribution with these
/// quartiles.
double spread_interval(const ModelProfile& costs) {
  constexpr double kOfQuartiles = 1.645 / 1.349;
  double spread = 0;
  for (const LayerCost& layer : costs.layers) {
    for (const Phase phase : kPhases) {
      spread += static_cast<double>(of(layer.alone, phase).spread.count());
    }
  }
  const double time = minibatch_time(costs);
  return time > 0 ? kOfQuartiles * spread / time : 0;
}

Measured scaled(Measured time, double factor) {
  const auto times = [&](Duration each) {
    return Duration{std::llround(static_cast<double>(each.count()) * factor)};
  };
  time.median = times(time.median);
  time.spread = times(time.spread);
  time.samples = time.outliers = 0;
  time.busy.reset();
  return time;
}

/// What is known of the very device that was measured.
void forget_measurements(ModelProfile& costs) {
  costs.whole.reset();
  costs.around.reset();
  costs.unattributed.reset();
  costs.whole_step.reset();
  for (LayerCost& layer : costs.layers) {
    layer.host_step.reset();  // Of another host.
    layer.recorded.clear();
  }
}

/// Layers of which nothing is known but their times.
ModelProfile by_data_sheets(ModelProfile costs, const RooflineRatio& ratio) {
  const DeviceRatio ends = device_ratio(ratio);
  for (LayerCost& layer : costs.layers) {
    for (const Phase phase : kPhases) {
      for (LayerTimes* times : {&layer.alone, &layer.loaded}) {
        of(*times, phase) = scaled(of(*times, phase), ends.middle);
      }
    }
  }
  forget_measurements(costs);
  costs.interval = (1 + costs.interval.value_or(0)) * (1 + ends.interval()) - 1;
  return costs;
}

}  // namespace

double HeldOut::error() const { return std::abs(predicted / measured - 1); }

std::optional<double> median_error(const std::vector<HeldOut>& held_out) {
  std::vector<double> errors;
  for (const HeldOut& each : held_out) errors.push_back(each.error());
  if (errors.empty()) return std::nullopt;
  return median(std::move(errors));
}

Estimator::Estimator(const std::vector<ModelProfile>& models) {
  for (const ModelProfile& each : models) {
    if (!each.interval && comparable(each, shape_of(each))) measured_.push_back(each);
  }
  hold_out();
}

std::vector<const ModelProfile*> Estimator::family(const ModelSpec& model) const {
  std::vector<const ModelProfile*> found;
  for (const ModelProfile& each : measured_) {
    const bool same =
        each.model.precision == model.precision && is_mlp(each.model) == is_mlp(model);
    if (same) found.push_back(&each);
  }
  return found;
}

void Estimator::hold_out() {
  for (const ModelProfile& each : measured_) {
    std::vector<const ModelProfile*> others = family(each.model);
    std::erase(others, &each);
    const Shape shape = shape_of(each);
    const bool any = std::ranges::any_of(
        others, [&](const ModelProfile* other) { return comparable(*other, shape); });
    if (!any || minibatch_time(each) <= 0) continue;
    const Guess made = guess(others, CostLaw(others), shape);
    held_out_.push_back({shape, minibatch_time(made.costs), minibatch_time(each), made.distance});
  }
}

std::optional<double> Estimator::tested_interval(const Shape& shape, double distance) const {
  double squares = 0, furthest = 0;
  int count = 0;
  for (const HeldOut& each : held_out_) {
    const bool same = each.shape.model.precision == shape.model.precision &&
                      is_mlp(each.shape.model) == is_mlp(shape.model);
    if (!same || each.predicted <= 0) continue;
    squares += std::pow(std::log(each.predicted / each.measured), 2);
    furthest = std::max(furthest, each.distance);
    ++count;
  }
  if (count == 0) return std::nullopt;
  const double width = student_quantile(0.95, count) * std::sqrt(squares / count);
  return std::expm1(width * (furthest > 0 ? std::max(1.0, distance / furthest) : 1));
}

ModelProfile Estimator::estimate(const Shape& shape) const {
  const auto known = family(shape.model);
  Guess made = guess(known, CostLaw(known), shape);
  const double by_law = std::max(made.most, 1 / made.least) - 1;
  const double tested = tested_interval(shape, made.distance).value_or(by_law);
  // Depth alone is extrapolated by any law alike: what such guesses missed is known all the same.
  const double missed = median_error(held_out_).value_or(0);
  made.costs.interval = std::max(std::min(by_law, tested), missed) + spread_interval(made.costs);
  return std::move(made.costs);
}

ModelProfile Estimator::on_device(ModelProfile costs, const RooflineRatio& ratio) const {
  const auto known = family(costs.model);
  const CostLaw law(known);
  const Shape shape = shape_of(costs);
  const double before = minibatch_time(costs);
  if (shape.model.architecture == Architecture::kImported)
    return by_data_sheets(std::move(costs), ratio);
  for (int i = 0; i < shape.layers(); ++i) {
    LayerCost& layer = costs.layers.at(static_cast<std::size_t>(i));
    for (const Phase phase : kPhases) {
      const LayerKind kind = kind_of(shape.model, i);
      const Rates here = law.rates(kind, phase);
      const Rates there{here.kernel, here.flop * ratio.flop, here.byte * ratio.byte};
      const LayerWork work = layer_work(shape, kind, phase);
      const double by_law = here.time(work);
      const double factor = by_law > 0 ? there.time(work) / by_law : device_ratio(ratio).middle;
      for (LayerTimes* times : {&layer.alone, &layer.loaded}) {
        of(*times, phase) = scaled(of(*times, phase), factor);
      }
    }
  }
  forget_measurements(costs);
  const DeviceRatio ends = device_ratio(ratio);
  const double came = before > 0 ? minibatch_time(costs) / before : ends.middle;
  const double device = std::max(ends.high / came, came / ends.low) - 1;
  costs.interval = (1 + costs.interval.value_or(0)) * (1 + std::max(0.0, device)) - 1;
  return costs;
}

}  // namespace shardlab
