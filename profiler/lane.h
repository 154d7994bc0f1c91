#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/profile.h"
#include "profiler/copy_bench.h"
#include "profiler/model_bench.h"
#include "profiler/samples.h"

namespace shardlab {

/// CPU threads that operators called by this thread use. To be called first by a thread that
/// computes.
void set_threads(int threads);

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
  std::vector<CopySample> copies;
  Samples overhead;
  Samples hand_over;
};

/// Puts `from` behind `to`.
void append(LaneSamples& to, const LaneSamples& from);

/// One lane's own copies of all models. For one thread at a time.
class Lane {
 public:
  Lane(const std::vector<BenchKey>& keys, int threads);

  /// To be called first by a thread that runs this lane. Makes the models the first time.
  void enter();
  /// Requires enter().
  [[nodiscard]] ModelBench& model(std::size_t index) { return *models_[index]; }
  [[nodiscard]] std::size_t models() const { return keys_.size(); }

  /// One round of a model, then copies and hand-overs.
  void run(std::size_t model, const Surroundings& around, LaneSamples& samples);

 private:
  std::vector<BenchKey> keys_;
  int threads_;
  std::vector<std::unique_ptr<ModelBench>> models_;
  std::unique_ptr<CopyBench> copies_;
};

}  // namespace shardlab
