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
  const Bytes forward = parameters + input + output + forward_workspace;
  const Bytes backward = parameters + state + input + input + output + backward_workspace;
  return std::max(forward, backward) + tokens;
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
  const Bytes ids =
      Bytes{model.batch} * model.model.context * static_cast<Bytes>(sizeof(std::int64_t));
  cost.tokens = (first == 0 ? ids : 0) + (last == count ? ids : 0);

  Bytes temporaries = 0;
  for (int i = first; i < last; ++i) {
    const LayerCost& layer = layers[static_cast<std::size_t>(i)];
    cost.parameters += layer.parameters;
    cost.state += layer.state;
    cost.alone += layer.alone;
    cost.loaded += layer.loaded;
    cost.forward_workspace =
        std::max(cost.forward_workspace, layer.forward_workspace + inner(i - 1) + inner(i));
    cost.graph += layer.saved + layer.output;
    // Around one layer, the gradients at its two boundaries live beside the graph.
    temporaries = std::max(temporaries, layer.backward_workspace + inner(i - 1) + inner(i));
  }
  cost.backward_workspace = cost.parameters + cost.graph + temporaries;
  return cost;
}

}  // namespace shardlab
