#pragma once

#include <span>
#include <vector>

#include "core/profile.h"

namespace shardlab {

struct CopySample {
  Bytes bytes = 0;
  Duration time{};
};

/// The median time of each size, by size.
std::vector<CopySample> medians(std::span<const CopySample> samples);

/// Line through the median time of each size, by least squares of relative errors, so that small
/// copies count as much as large ones. Latency is at least 0. Throws Error without copies of two
/// sizes.
CopyCost fit_copy_cost(std::span<const CopySample> samples);

/// The largest relative error of `cost` over the median times of the sizes.
double worst_residual(std::span<const CopySample> samples, const CopyCost& cost);

}  // namespace shardlab
