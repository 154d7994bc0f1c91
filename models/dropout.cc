#include "models/dropout.h"

#include <cstddef>

#include "core/counter_hash.h"
#include "models/vector_clones.h"

namespace shardlab {
namespace {

// 32-bit lanes and a signed compare, so that the loop becomes vector code on every x86-64 and
// ARM64.
SHARDLAB_VECTOR_CLONES
void fill(std::uint32_t begin, std::uint64_t key, std::int32_t dropped, float scale,
          std::size_t size, float* out) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32);
  for (std::size_t i = 0; i < size; ++i) {
    std::uint32_t x = (begin + static_cast<std::uint32_t>(i)) * 0x9e3779b9U + low;
    x = (x ^ (x >> 16)) * 0x21f0aaadU;
    x = (x ^ (x >> 15) ^ high) * 0x735a2d97U;
    x ^= x >> 15;
    out[i] = static_cast<std::int32_t>(x >> 8) >= dropped ? scale : 0.0F;
  }
}

}  // namespace

void dropout_mask(const DropoutKey& key, double probability, std::uint64_t first,
                  std::span<float> mask) {
  const std::uint64_t hashed = counter_hash(
      {key.seed, static_cast<std::uint64_t>(key.step), static_cast<std::uint64_t>(key.microbatch),
       static_cast<std::uint64_t>(key.layer), static_cast<std::uint64_t>(key.site)});
  fill(static_cast<std::uint32_t>(first), hashed,
       static_cast<std::int32_t>(probability * (1 << 24)),
       static_cast<float>(1.0 / (1.0 - probability)), mask.size(), mask.data());
}

}  // namespace shardlab
