#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <vector>

namespace shardlab {

/// The value at place q × (n − 1), rounded up from a half, of ascending `values`: always one of
/// them. q = 1/2 is the median, of an even number the upper of the two in the middle. Requires:
/// a value, and q from 0 to 1.
template <typename T>
const T& quantile(const std::vector<T>& values, double q) {
  assert(!values.empty() && q >= 0 && q <= 1);
  return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
}

/// quantile(values, 1/2) of values in any order.
template <typename T>
T median(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

}  // namespace shardlab
