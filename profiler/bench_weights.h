#pragma once

#include <cstdint>
#include <memory>

#include "models/shard_pass.h"
#include "models/torch_device.h"

namespace shardlab {

/// Floats of flat parameters; state has state_factor times as many.
struct WeightRange {
  std::int64_t first = 0, floats = 0;
  bool operator==(const WeightRange&) const = default;
};

/// Device memory in which the weights of several models lie in turn.
class WeightSpace {
 public:
  WeightSpace();
  ~WeightSpace();
  WeightSpace(const WeightSpace&) = delete;
  WeightSpace& operator=(const WeightSpace&) = delete;

  /// Floats that there is room for, of parameters and of state.
  [[nodiscard]] std::int64_t parameters() const;
  [[nodiscard]] std::int64_t state() const;

 private:
  friend class BenchWeights;
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
  const void* holder_ = nullptr;  ///< Whose weights lie there.
};

/// Parameters and state of a model in host memory, and of some of its layers on the device.
class BenchWeights {
 public:
  /// `most_floats` of parameters are on the device at once, in `space`. Keeps references to both
  /// `device` and `space`. Throws c10::OutOfMemoryError.
  BenchWeights(const TorchDevice& device, const ShardPass& whole, int state_factor,
               std::int64_t most_floats, WeightSpace& space);
  ~BenchWeights();
  BenchWeights(const BenchWeights&) = delete;
  BenchWeights& operator=(const BenchWeights&) = delete;

  /// Has these on the device, with their state or without: copied unless they lie there. Waits for
  /// it.
  void bring(WeightRange range, bool with_state);
  /// On the device. Requires: bring() of a range that `first` is in.
  [[nodiscard]] float* parameters(std::int64_t first) const;
  [[nodiscard]] float* state(std::int64_t first) const;
  /// In host memory.
  [[nodiscard]] float* host_parameters(std::int64_t first) const;
  [[nodiscard]] float* host_state(std::int64_t first) const;

  /// Copies part of what was brought, in the queue that this thread entered. They race with layers
  /// on purpose: state may be an older step's, and only times count here.
  void copy_in(WeightRange range, bool with_state);
  void copy_out(WeightRange range);

 private:
  const TorchDevice& device_;
  const int state_factor_;
  struct Host;
  std::unique_ptr<Host> host_;
  WeightSpace& space_;
  WeightRange brought_;
  bool brought_state_ = false;
};

}  // namespace shardlab
