#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace shardlab {

/// A strategy with its degrees, before there is a model to cut.
struct StrategyChoice {
  // NOLINTNEXTLINE(google-explicit-constructor): a strategy is a choice with the usual degrees.
  StrategyChoice(Strategy which = Strategy::kSpill) : strategy(which) {}

  Strategy strategy;
  int stages = 0;  ///< Of a pipeline, or shards of model_parallel; 0: as many as there are devices.
  int microbatches = 1;
  int chunks = 1;    ///< Shards per device, of interleaved.
  int replicas = 1;  ///< Of data_parallel and zero_offload.

  bool operator==(const StrategyChoice&) const = default;
};

/// "spill", "resident", "model_parallel", "gpipe(4,8)" (stages, microbatches), "one_f_one_b(4,8)",
/// "interleaved(4,8,2)" (and shards per device), "zero_offload(4)" (devices),
/// "data_parallel(2,gpipe(4,8))" around any; "data_parallel(2)" is around resident, and
/// "data_parallel(2,spill)" is "zero_offload(2)".
/// 0 stages: as many as there are devices. Throws Error saying what is wrong and how it is written.
StrategyChoice parse_strategy_choice(const std::string& text);
/// Several of them: commas within parentheses do not part them.
std::vector<StrategyChoice> parse_strategy_choices(const std::string& list);
std::string to_string(const StrategyChoice& choice);  ///< Reads back as the same.

}  // namespace shardlab
