#pragma once

#include <functional>
#include <vector>

#include "traces/vtrain_file.h"
#include "validate/gpt_cost.h"

namespace shardlab {

/// Seconds that a minibatch of a row takes, if the machine costs so much. Callable from several
/// threads at once.
using MinibatchTime = std::function<double(const VtrainRow&, const GptCost&)>;

/// The costs for which `time` comes closest to the rows, by fit_non_negative_from().
///
/// A makespan is the longest of many paths, each linear in the costs, so that a few rounds reach
/// the bottom of the valley they begin in. Whether a layer is bound by launches makes several
/// valleys: a fit that begins on the wrong side for all rows stays there. It begins at several
/// launch times, and the best end counts. Requires: at least one row.
GptCost fit_gpt_cost(const std::vector<VtrainRow>& rows, const MinibatchTime& time);

}  // namespace shardlab
