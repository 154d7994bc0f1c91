#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "profiler/samples.h"

namespace shardlab {

/// Between the `rank`-th smallest (from 0) of `samples` independent values and the `rank`-th
/// largest lies the median of their distribution, whatever that is, in 95 of 100 experiments at
/// least. The largest such rank; none of fewer than 6 values. Source: David and Nagaraja, Order
/// Statistics, third edition, 7.1: it does not with probability 2 P(B <= rank), B binomial(samples,
/// 1/2).
std::optional<std::size_t> median_rank(std::size_t samples);

/// Half the width of that interval; none of fewer than 6.
std::optional<Duration> median_half_width(Samples samples);

/// Of one minibatch: half widths of all phases of all layers over their medians, in sum, as if they
/// erred together. None while a phase has fewer than 6 samples.
std::optional<double> median_interval(const std::vector<LayerSamples>& layers);

/// "medians within 1.3 %".
std::string interval_text(double interval);

}  // namespace shardlab
