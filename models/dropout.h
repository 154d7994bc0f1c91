#pragma once

#include <cstdint>
#include <span>

namespace shardlab {

/// What a dropout mask depends on. No shard and no job index: neither the partition nor the
/// neighbours change it.
struct DropoutKey {
  std::uint64_t seed = 0;  ///< The job's.
  std::int64_t step = 0;
  std::int64_t microbatch = 0;
  int layer = 0;  ///< In the model, not in the shard.
  int site = 0;   ///< Which dropout of the layer.
};

/// Elements first, first + 1, ... of the mask: 0 with `probability` (to 24 bits), else 1 / (1 -
/// probability). Any cut into calls gives the same mask; it repeats after 2^32 elements.
/// probability in [0, 1).
void dropout_mask(const DropoutKey& key, double probability, std::uint64_t first,
                  std::span<float> mask);

}  // namespace shardlab
