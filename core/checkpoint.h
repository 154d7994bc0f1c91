#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shardlab {

/// A job at a border of its minibatches: all that its training goes on from. By layer, so that
/// neither the partition nor the devices matter.
struct Checkpoint {
  struct Layer {
    std::span<const float> parameters;  ///< As models/parameters.h lays them out.
    std::span<const float> state;       ///< Of the optimizer, parameter by parameter.
  };
  std::int64_t minibatch = 0;  ///< So many are complete.
  std::vector<double> losses;  ///< Of each of them.
  std::vector<Layer> layers;   ///< Views of memory that is another's.
  /// How minibatches were dealt out, which decides in what order gradients are added up. 0: not
  /// known.
  int microbatches = 0, replicas = 0;
};

}  // namespace shardlab
