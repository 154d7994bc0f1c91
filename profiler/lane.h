#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/profile.h"
#include "profiler/bench_weights.h"
#include "profiler/copy_bench.h"
#include "profiler/model_bench.h"
#include "profiler/samples.h"
#include "profiler/worker.h"

namespace shardlab {

/// What a lane measures: one entry per model, in the same order on every lane.
struct BenchKey {
  ModelSpec model;
  int batch = 0;
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  Bytes shard = kUnlimited;  ///< See ModelBench.
  auto operator<=>(const BenchKey&) const = default;
};

struct LaneSamples {
  std::vector<std::vector<LayerSamples>> models;  ///< Per model and layer.
  std::vector<Samples> whole;                     ///< Per model: minibatches timed as a whole.
  std::vector<Samples> around;  ///< Per model: those of `models`, timed around each unit.
  std::vector<CopySample> copies, copies_back;
  Samples overhead;
  Samples ramp;  ///< Per unit, on an accelerator: from its start until the host is ahead.
  Samples hand_over;
  std::vector<Samples> minibatches;  ///< Per model: all layers of one.
};

/// Puts `from` behind `to`.
void append(LaneSamples& to, const LaneSamples& from);

/// One lane's own copies of all models.
class Lane {
 public:
  /// Throws Error when there is no such device.
  Lane(const std::vector<BenchKey>& keys, const DeviceSpec& device);

  /// Runs all that this lane does.
  [[nodiscard]] Worker& worker() { return worker_; }
  /// To be called first in every task of the worker. Makes the models the first time.
  void enter();
  /// Requires enter().
  [[nodiscard]] ModelBench& model(std::size_t index) { return *models_[index]; }
  [[nodiscard]] std::size_t models() const { return keys_.size(); }
  [[nodiscard]] const TorchDevice& device() const { return device_; }

  /// What all layers of a model take, with names; times come later. Requires enter().
  [[nodiscard]] std::vector<LayerCost> measure_bytes(std::size_t model);

  /// A minibatch of a model; on an accelerator one more by whole units, from an idle device, as an
  /// executor's.
  void run(std::size_t model, const Surroundings& around, LaneSamples& samples);
  /// One more by whole units.
  Duration run_whole(std::size_t model, const Surroundings& around, LaneSamples& samples);
  /// Copies, overheads of units, and hand-overs.
  void run_copies(LaneSamples& samples);

 private:
  std::vector<BenchKey> keys_;
  TorchDevice device_;
  const Bytes largest_copy_;  ///< To measure; 0: as usual.
  WeightSpace weights_;       ///< Of all models, on an accelerator.
  std::vector<std::unique_ptr<ModelBench>> models_;
  std::unique_ptr<CopyBench> copies_;
  Worker worker_;  // Ends before what it uses.
};

}  // namespace shardlab
