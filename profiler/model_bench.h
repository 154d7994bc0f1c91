#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/profile.h"
#include "models/arena.h"
#include "models/shard_pass.h"
#include "profiler/samples.h"

namespace shardlab {

/// What surrounds the work of a unit.
struct Surroundings {
  /// What the unit promotes is copied in before, not timed, which warms the caches; else weights
  /// lie where they were left, and caches have forgotten them.
  bool promotes = false;
  std::function<void()> begin = [] {}, end = [] {};  ///< Of each unit.
};

/// A model with its own weights and state, run layer by layer on made-up tokens. For one thread at
/// a time.
class ModelBench {
 public:
  /// Layers run in groups of about `shard` bytes of parameters, gradients and state, as a shard
  /// would. Throws Error when `model` makes no model or batch is not positive.
  ModelBench(const ModelSpec& model, int batch, OptimizerKind optimizer, Bytes shard = kUnlimited);

  [[nodiscard]] const ModelProfile& key() const { return key_; }  ///< Without layers.

  /// Names and exact bytes of every layer, from one pass under a memory account.
  [[nodiscard]] std::vector<LayerCost> measure_bytes();

  /// One minibatch in the order of training, so that caches are as warm as there: forward without
  /// a graph, group by group; then, from the last group to the first, its layers recorded,
  /// backward in reverse and stepped. Adds one sample per layer and kind.
  void run(const Surroundings& around, std::vector<LayerSamples>& samples);

 private:
  struct Group {
    std::size_t first = 0, last = 0;  ///< Layers from first to before last.
  };
  void cut(Bytes shard);
  void promote(const Group& group, bool with_state);
  [[nodiscard]] at::Tensor measure_passes(const ShardPass& layer, const at::Tensor& input,
                                          const at::Tensor& target, LayerCost& cost);
  [[nodiscard]] float* parameters(const ShardPass& layer) const;
  [[nodiscard]] float* state(const ShardPass& layer) const;

  ModelProfile key_;
  Model model_;
  std::vector<ShardPass> layers_;  // One layer each.
  std::vector<Group> groups_;
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
