#include "fit/device_ratio.h"

#include <algorithm>
#include <cmath>

namespace shardlab {

double DeviceRatio::interval() const { return std::max(high / middle, middle / low) - 1; }

RooflineRatio roofline_ratio(const DataSheet& from, const DataSheet& to, MatrixRate rate) {
  return {from.flops(rate) / to.flops(rate), from.bytes_per_second / to.bytes_per_second};
}

DeviceRatio device_ratio(const RooflineRatio& ends) {
  constexpr double kTail = 0.05;
  const double least = std::min(ends.flop, ends.byte), most = std::max(ends.flop, ends.byte);
  return {std::lerp(least, most, kTail) / (1 + kReachedSpread), std::sqrt(least * most),
          std::lerp(most, least, kTail) * (1 + kReachedSpread)};
}

}  // namespace shardlab
