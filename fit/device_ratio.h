#pragma once

#include "core/model.h"
#include "traces/data_sheet_file.h"

namespace shardlab {

/// How far devices differ in what share of their data sheet's rates they reach: predicting one
/// GPU's times from another's by such rates was off by 11.8 % on average in Habitat (Yu et al.,
/// USENIX ATC 2021, arXiv 2102.00527).
constexpr double kReachedSpread = 0.118;

/// By what factor a kernel takes longer on another device. `low` to `high` holds nine of ten.
struct DeviceRatio {
  double low = 1, middle = 1, high = 1;

  /// Relative to `middle`, the larger side.
  [[nodiscard]] double interval() const;
};

/// What matrix products of this precision and memory traffic take on the other device, over what
/// they take here: the two ends of its roofline (Williams et al., CACM 52, 2009).
struct RooflineRatio {
  double flop = 1, byte = 1;
};
RooflineRatio roofline_ratio(const DataSheet& from, const DataSheet& to, MatrixRate rate);

/// Nothing is known of how much of the time computes and how much moves bytes: somewhere between
/// both ends, the geometric mean as the estimate, so that there and back is 1. The interval leaves
/// out the outer twentieths between the ends (what computes is as likely to be any share) and adds
/// kReachedSpread.
DeviceRatio device_ratio(const RooflineRatio& ends);

}  // namespace shardlab
