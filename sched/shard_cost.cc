#include "sched/shard_cost.h"

#include <algorithm>

namespace shardlab {
namespace {

ShardCost::Times& operator+=(ShardCost::Times& sum, const LayerTimes& layer) {
  sum.forward += layer.forward.median;
  sum.recompute += layer.recompute.median;
  sum.backward += layer.backward.median;
  sum.step += layer.step.median;
  return sum;
}

}  // namespace

Bytes ShardCost::peak() const {
  const Bytes kept = frozen + parameters + input + output;
  const Bytes with_backward = state + (backward_below ? input : 0) + backward_workspace;
  return kept + std::max(forward_workspace, backward ? with_backward : 0) + tokens;
}

ShardCost shard_cost(const ModelProfile& model, int first, int last) {
  const auto& layers = model.layers;
  const int count = static_cast<int>(layers.size());
  const auto inner = [&](int layer) {  // The boundary above `layer`, if it lies inside the shard.
    return layer >= first && layer < last - 1 ? layers[static_cast<std::size_t>(layer)].output
                                              : Bytes{0};
  };
  ShardCost cost;
  if (first > 0) cost.input = layers[static_cast<std::size_t>(first) - 1].output;
  if (last < count) cost.output = layers[static_cast<std::size_t>(last) - 1].output;
  const Bytes ids = model.input.value_or(model.batch * inputs_per_sequence(model.model) *
                                         static_cast<Bytes>(sizeof(std::int64_t)));
  cost.tokens = (first == 0 ? ids : 0) + (last == count ? ids : 0);

  Bytes temporaries = 0;
  cost.host_step = Duration{};
  for (int i = first; i < last; ++i) {
    const LayerCost& layer = layers[static_cast<std::size_t>(i)];
    cost.parameters += layer.parameters;
    cost.frozen += layer.frozen;
    cost.state += layer.state;
    if (layer.parameters > 0 && !layer.host_step) cost.host_step.reset();
    if (cost.host_step && layer.host_step) *cost.host_step += layer.host_step->median;
    cost.alone += layer.alone;
    cost.loaded += layer.loaded;
    cost.forward_workspace =
        std::max(cost.forward_workspace, layer.forward_workspace + inner(i - 1) + inner(i));
    if (i < model.first_trained) {  // No graph, but what the first layer that has one reads.
      if (i == model.first_trained - 1) cost.graph += inner(i);
      temporaries = std::max(temporaries, layer.forward_workspace + inner(i - 1) + inner(i));
      continue;
    }
    cost.graph += layer.saved + layer.output;
    cost.largest_layer = std::max(cost.largest_layer, layer.parameters);
    // Around one layer, the gradients at its two boundaries live beside the graph.
    temporaries = std::max(temporaries, layer.backward_workspace + inner(i - 1) + inner(i));
  }
  cost.backward = last > model.first_trained;
  cost.backward_below = first > model.first_trained;
  if (cost.backward) cost.backward_workspace = cost.parameters + cost.graph + temporaries;
  return cost;
}

}  // namespace shardlab
