#pragma once

#include <memory>
#include <vector>

#include "core/profile.h"
#include "models/arena.h"
#include "models/shard_pass.h"
#include "profiler/samples.h"

namespace shardlab {

/// A model with its own weights and state, run layer by layer on made-up tokens. For one thread at
/// a time.
class ModelBench {
 public:
  /// Throws Error when `model` makes no model or batch is not positive.
  ModelBench(const ModelSpec& model, int batch, OptimizerKind optimizer);

  [[nodiscard]] const ModelProfile& key() const { return key_; }  ///< Without layers.

  /// Names and exact bytes of every layer, from one pass under a memory account.
  [[nodiscard]] std::vector<LayerCost> measure_bytes();

  /// One minibatch in the order of training, so that caches are as warm as there: all layers
  /// forward without a graph, all recorded, all backward in reverse, all stepped. Adds one sample
  /// per layer and kind. What a unit would have promoted is copied in before, not timed: it leaves
  /// the caches as a promotion does.
  void run(std::vector<LayerSamples>& samples);

 private:
  [[nodiscard]] at::Tensor measure_passes(const ShardPass& layer, const at::Tensor& input,
                                          const at::Tensor& target, LayerCost& cost);
  void promote(const ShardPass& layer, bool with_state);
  [[nodiscard]] float* parameters(const ShardPass& layer) const;
  [[nodiscard]] float* state(const ShardPass& layer) const;

  ModelProfile key_;
  Model model_;
  std::vector<ShardPass> layers_;  // One layer each.
  ShardPass whole_;
  OptimizerSpec optimizer_;
  Arena parameters_;
  Arena state_;
  Arena host_parameters_;
  Arena host_state_;
  std::vector<std::int64_t> input_;
  std::vector<std::int64_t> target_;
  std::int64_t step_ = 0;
};

/// What surrounds the layers of one unit on its lane: account, clock and views of its boundaries.
/// One sample.
Duration time_unit_overhead();

}  // namespace shardlab
