#include "models/dropout.h"

#include <cstddef>

#include "models/counter_hash.h"

namespace shardlab {

void dropout_mask(const DropoutKey& key, double probability, std::uint64_t first,
                  std::span<float> mask) {
  const std::uint64_t hashed = counter_hash(
      {key.seed, static_cast<std::uint64_t>(key.step), static_cast<std::uint64_t>(key.microbatch),
       static_cast<std::uint64_t>(key.layer), static_cast<std::uint64_t>(key.site)});
  const auto low = static_cast<std::uint32_t>(hashed);
  const auto high = static_cast<std::uint32_t>(hashed >> 32);
  const auto dropped = static_cast<std::int32_t>(probability * (1 << 24));
  const auto scale = static_cast<float>(1.0 / (1.0 - probability));
  const auto begin = static_cast<std::uint32_t>(first);
  const std::size_t size = mask.size();
  float* out = mask.data();
  // 32-bit lanes and a signed compare, so that the loop becomes vector code on every x86-64 and
  // ARM64.
  for (std::size_t i = 0; i < size; ++i) {
    std::uint32_t x = (begin + static_cast<std::uint32_t>(i)) * 0x9e3779b9U + low;
    x = (x ^ (x >> 16)) * 0x21f0aaadU;
    x = (x ^ (x >> 15) ^ high) * 0x735a2d97U;
    x ^= x >> 15;
    out[i] = static_cast<std::int32_t>(x >> 8) >= dropped ? scale : 0.0F;
  }
}

}  // namespace shardlab
