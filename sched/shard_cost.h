#pragma once

#include <optional>

#include "core/profile.h"

namespace shardlab {

/// Sums over the layers of one shard. Bytes are an upper bound of what a pass really allocates (a
/// test holds them against the counting allocator); times are sums of medians.
struct ShardCost {
  Bytes parameters = 0;  ///< Those that train.
  Bytes frozen = 0;      ///< The others.
  Bytes state = 0;
  Bytes input = 0;   ///< Boundary activation below; 0 for the first shard.
  Bytes output = 0;  ///< Boundary activation above; 0 for the last shard.
  Bytes tokens = 0;  ///< Inputs and targets, where the shard reads the data.
  Bytes forward_workspace = 0;
  /// Gradients of the parameters, the graph of the shard and temporaries: beyond parameters, state,
  /// input and the gradients at both boundaries.
  Bytes backward_workspace = 0;
  Bytes graph = 0;             ///< Part of it that a forward leaves for its backward.
  Bytes largest_layer = 0;     ///< Largest parameters of one layer that trains.
  bool backward = true;        ///< false: nothing trains here or below, so no backward comes here.
  bool backward_below = true;  ///< It makes a gradient for the shard below, if there is one.

  struct Times {
    Duration forward{}, recompute{}, backward{}, step{};
  };
  Times alone, loaded;
  /// A step on the host; none where some layer's that trains is not known.
  std::optional<Duration> host_step = std::nullopt;

  /// The most that any unit of the shard needs on a device at once.
  [[nodiscard]] Bytes peak() const;
  /// A step changes parameters of it.
  [[nodiscard]] bool steps() const { return backward && (parameters > 0 || frozen == 0); }
};

/// Layers [first, last) of `model`.
ShardCost shard_cost(const ModelProfile& model, int first, int last);

}  // namespace shardlab
