#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/profile.h"
#include "models/arena.h"

namespace shardlab {

struct CopySample {
  Bytes bytes = 0;
  Duration time{};
};

/// Copies between two arenas as a promotion does. Each copy takes the next piece of arenas larger
/// than the caches, so that source and destination are cold.
class CopyBench {
 public:
  CopyBench();

  /// One copy of each size from 64 KiB to 16 MiB.
  void run(std::vector<CopySample>& samples);

 private:
  Arena from_;
  Arena to_;
  std::size_t at_ = 0;
};

/// Line through the median time of each size, by least squares of relative errors, so that small
/// copies count as much as large ones. Latency is at least 0. Throws Error without copies of two
/// sizes.
CopyCost fit_copy_cost(std::span<const CopySample> samples);

}  // namespace shardlab
