#include "fit/guess.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/quantile.h"
#include "fit/byte_fit.h"

namespace shardlab {
namespace {

LayerWork block_forward(const Shape& shape) {
  return layer_work(shape, LayerKind::kBlock, Phase::kForward);
}

double doublings(const Shape& from, const Shape& to) {
  return std::abs(std::log2(block_forward(to).flops / block_forward(from).flops));
}

std::vector<Anchor> anchors_of(std::span<const ModelProfile* const> measured, const Shape& shape) {
  const ModelProfile* nearest = nullptr;
  const ModelProfile* below = nullptr;
  const ModelProfile* above = nullptr;
  const auto closer = [&](const ModelProfile* a, const ModelProfile* b) {
    if (b == nullptr) return true;
    const auto rank = [&](const ModelProfile* each) {
      return std::tuple(!same_size(each->model, shape.model), !alike(*each, shape),
                        doublings(shape_of(*each), shape));
    };
    return rank(a) < rank(b);
  };
  for (const ModelProfile* each : measured) {
    if (!comparable(*each, shape)) continue;
    if (closer(each, nearest)) nearest = each;
    if (!same_size(each->model, shape.model) || !alike(*each, shape)) continue;
    if (each->batch <= shape.batch && (below == nullptr || each->batch > below->batch))
      below = each;
    if (each->batch >= shape.batch && (above == nullptr || each->batch < above->batch))
      above = each;
  }
  if (nearest == nullptr) return {};
  if (below == nullptr || above == nullptr || nearest->batch == shape.batch) return {{nearest, 1}};
  const double share = std::log(static_cast<double>(shape.batch) / below->batch) /
                       std::log(static_cast<double>(above->batch) / below->batch);
  return {{below, 1 - share}, {above, share}};
}

/// Of the anchor, the layer that stands for `layer` of a model of another depth.
std::size_t counterpart(const ModelSpec& target, int layer, const ModelSpec& anchor) {
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  if (layer == 0) return 0;
  if (layer > target.layers) return at(anchor.layers + 1);
  if (layer == target.layers) return at(anchor.layers);
  return at(anchor.layers == target.layers ? layer : (anchor.layers + 1) / 2);
}

double count_of(const Measured& time) { return static_cast<double>(time.median.count()); }

/// The median over the layers of what a phase takes loaded, over what it takes alone.
double load_factor(const ModelProfile& model, Phase phase) {
  std::vector<double> factors;
  for (const LayerCost& layer : model.layers) {
    const double alone = count_of(of(layer.alone, phase));
    if (alone > 0) factors.push_back(count_of(of(layer.loaded, phase)) / alone);
  }
  return factors.empty() ? 1 : median(std::move(factors));
}

/// The ends between which any law without negative rates takes one piece of work to the other.
std::pair<double, double> reach(const LayerWork& from, const LayerWork& to) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (const auto& [a, b] : {std::pair{from.kernels, to.kernels}, std::pair{from.flops, to.flops},
                             std::pair{from.bytes, to.bytes}}) {
    if (a <= 0) continue;
    least = std::min(least, b / a);
    most = std::max(most, b / a);
  }
  return {least, most};
}

/// Guesses one model's times, and adds up how far laws could differ.
class TimeGuess {
 public:
  TimeGuess(const CostLaw& law, const Shape& shape, const std::vector<Anchor>& anchors)
      : law_(law), shape_(shape), anchors_(anchors) {}

  void set_times(int number, LayerCost& layer) {
    for (const Phase phase : kPhases) {
      const Measured alone = time(number, phase);
      double factor = 1;
      for (const Anchor& anchor : anchors_) {
        factor *= std::pow(load_factor(*anchor.model, phase), anchor.weight);
      }
      of(layer.alone, phase) = alone;
      of(layer.loaded, phase) = scaled(alone, factor);
    }
  }

  [[nodiscard]] double least() const { return sum_ > 0 ? std::min(1.0, least_ / sum_) : 1; }
  [[nodiscard]] double most() const { return sum_ > 0 ? std::max(1.0, most_ / sum_) : 1; }

 private:
  static Measured scaled(const Measured& time, double factor) {
    const auto times = [&](Duration each) {
      return Duration{std::llround(static_cast<double>(each.count()) * factor)};
    };
    return {times(time.median), times(time.spread), 0, std::nullopt};
  }

  Measured time(int number, Phase phase) {
    const LayerKind kind = kind_of(shape_.model, number);
    const Rates& rates = law_.rates(kind, phase);
    const LayerWork work = layer_work(shape_, kind, phase);
    double guessed = 1, spread = 0, least = 0, most = std::numeric_limits<double>::infinity();
    for (const Anchor& anchor : anchors_) {
      const LayerTimes& its =
          anchor.model->layers[counterpart(shape_.model, number, anchor.model->model)].alone;
      const Measured& measured = of(its, phase);
      const double known = count_of(measured);
      const LayerWork its_work = layer_work(shape_of(*anchor.model), kind, phase);
      const double by_law = rates.time(its_work);
      const double there = by_law > 0 ? known * rates.time(work) / by_law : known;
      guessed *= std::pow(there, anchor.weight);
      if (known > 0) {
        spread += anchor.weight * static_cast<double>(measured.spread.count()) / known;
      }
      const auto [low, high] = reach(its_work, work);
      least = std::max(least, low * known);
      most = std::min(most, high * known);
    }
    sum_ += guessed;
    least_ += std::min(least, guessed);
    most_ += std::max(most, guessed);
    return {Duration{std::llround(guessed)}, Duration{std::llround(guessed * spread)}, 0,
            std::nullopt};
  }

  const CostLaw& law_;
  const Shape& shape_;
  const std::vector<Anchor>& anchors_;
  double sum_ = 0, least_ = 0, most_ = 0;
};

std::string layer_name(const ModelSpec& model, int layer) {
  const LayerKind kind = kind_of(model, layer);
  if (kind == LayerKind::kBlock) return fmt::format("block {}", layer);
  return kind == LayerKind::kHead ? "head" : "embedding";
}

}  // namespace

double minibatch_time(const ModelProfile& model) {
  double sum = 0;
  for (const LayerCost& layer : model.layers) {
    for (const Phase phase : kPhases) sum += count_of(of(layer.alone, phase));
  }
  return sum;
}

Guess guess(std::span<const ModelProfile* const> measured, const CostLaw& law, const Shape& shape) {
  const std::vector<Anchor> anchors = anchors_of(measured, shape);
  if (anchors.empty()) {
    throw Error(
        fmt::format("no costs to estimate {}, dropout {} from; profile a model of that kind, "
                    "precision ({}) and "
                    "dropout, in any size",
                    describe(shape.model), shape.model.dropout, to_string(shape.model.precision)));
  }
  Guess made;
  made.costs.model = shape.model;
  made.costs.batch = shape.batch;
  made.costs.optimizer = shape.optimizer;
  made.distance = std::numeric_limits<double>::infinity();
  for (const Anchor& anchor : anchors) {
    made.distance = std::min(made.distance, doublings(shape_of(*anchor.model), shape));
  }
  TimeGuess times(law, shape, anchors);
  const ByteFit bytes(measured, anchors, shape);
  for (int i = 0; i < shape.layers(); ++i) {
    LayerCost layer;
    layer.name = layer_name(shape.model, i);
    bytes.set_bytes(kind_of(shape.model, i), layer);
    times.set_times(i, layer);
    made.costs.layers.push_back(std::move(layer));
  }
  made.least = times.least();
  made.most = times.most();
  return made;
}

}  // namespace shardlab
