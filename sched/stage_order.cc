#include "sched/stage_order.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

std::vector<Pass> stage_order(Strategy strategy, int stage, int stages, int microbatches,
                              int chunks) {
  const bool in_groups = strategy == Strategy::kInterleaved && chunks > 1;
  if (in_groups && microbatches % stages != 0) {
    throw Error(fmt::format("interleaved: {} microbatches are no multiple of {} stages",
                            microbatches, stages));
  }
  const int passes = microbatches * chunks;  // In each direction.
  const auto pass = [&](int which, bool backward) -> Pass {
    if (!in_groups) return {backward, 0, which};
    const int group = which / (stages * chunks), within = which % (stages * chunks);
    const int chunk = within / stages;
    return {backward, backward ? chunks - 1 - chunk : chunk, group * stages + within % stages};
  };
  int warm_up = std::min(stages - 1 - stage, passes);
  if (strategy == Strategy::kGpipe) warm_up = passes;
  // With as many microbatches as stages nothing is left to alternate with.
  if (in_groups) {
    const int wanted = 2 * (stages - 1 - stage) + (chunks - 1) * stages;
    warm_up = microbatches == stages ? passes : std::min(wanted, passes);
  }
  std::vector<Pass> order;
  for (int i = 0; i < warm_up; ++i) order.push_back(pass(i, false));
  for (int i = warm_up; i < passes; ++i) {
    order.push_back(pass(i, false));
    order.push_back(pass(i - warm_up, true));
  }
  for (int i = passes - warm_up; i < passes; ++i) order.push_back(pass(i, true));
  return order;
}

}  // namespace shardlab
