#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/profile.h"
#include "models/shard_pass.h"
#include "models/torch_device.h"
#include "profiler/samples.h"
#include "profiler/surroundings.h"

namespace shardlab {

struct WeightRange;
class WeightSpace;

/// A model with its own weights and state, run layer by layer on a device, on made-up text or
/// synthetic pixels. For one thread at a time, which has entered the device's computing queue.
class ModelBench {
 public:
  /// Layers run in groups of about `shard` bytes of parameters, gradients and state, as a shard
  /// would. Weights lie on the device as a whole, or, where `space` is given, group by group there,
  /// in turn with other models'. Keeps references to `device` and `space`. Throws Error when
  /// `model` makes no model or batch is not positive, c10::OutOfMemoryError where there is no room.
  ModelBench(const TorchDevice& device, const ModelSpec& model, int batch, OptimizerKind optimizer,
             Bytes shard = kUnlimited, WeightSpace* space = nullptr);
  ~ModelBench();
  ModelBench(const ModelBench&) = delete;
  ModelBench& operator=(const ModelBench&) = delete;

  [[nodiscard]] const ModelProfile& key() const { return key_; }          ///< Without layers.
  [[nodiscard]] std::size_t units() const { return 2 * groups_.size(); }  ///< Of a minibatch.

  /// Names and exact bytes of every layer, from one pass under a memory account.
  [[nodiscard]] std::vector<LayerCost> measure_bytes();

  /// The optimizer's step of every layer on the host, over parameters, state and gradient in its
  /// memory, layer by layer as often as says how it varies. On any thread, beside nothing else.
  [[nodiscard]] std::vector<Measured> measure_host_steps();

  /// One minibatch in the order of training, so that caches are as warm as there: forward without
  /// a graph, group by group; then, from the last group to the first, its layers recorded,
  /// backward in reverse and stepped. Adds one sample per layer and kind, unless only units are
  /// timed. Returns the sum over the groups.
  Duration run(const Surroundings& around, std::vector<LayerSamples>& samples);

 private:
  struct Group {
    std::size_t first = 0, last = 0;  ///< Layers from first to before last.
  };
  [[nodiscard]] WeightRange range(const Group& group) const;
  struct Memory;
  struct Minibatch;
  void cut(Bytes shard);
  [[nodiscard]] std::int64_t largest_group() const;
  void bring(const Group& group, const Surroundings& around, bool backward);
  void move_beside(std::size_t layer, Phase phase);
  Duration forward(const Group& group, const Surroundings& around, Minibatch& batch,
                   std::vector<LayerSamples>& samples);
  Duration backward(const Group& group, const Surroundings& around, Minibatch& batch,
                    std::vector<LayerSamples>& samples);
  [[nodiscard]] at::Tensor measure_passes(const ShardPass& layer, const at::Tensor& input,
                                          const at::Tensor& target, LayerCost& cost);
  [[nodiscard]] float* parameters(std::size_t layer) const;
  [[nodiscard]] float* state(std::size_t layer) const;

  const TorchDevice& device_;
  ModelProfile key_;
  Model model_;
  std::vector<ShardPass> layers_;  // One layer each.
  std::vector<Group> groups_;
  ShardPass whole_;
  OptimizerSpec optimizer_;
  std::unique_ptr<Memory> memory_;
  std::int64_t step_ = 0;
};

}  // namespace shardlab
