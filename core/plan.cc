#include "core/plan.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

std::string to_string(Strategy strategy) {
  switch (strategy) {
    case Strategy::kSpill:
      return "spill";
    case Strategy::kResident:
      return "resident";
    case Strategy::kModelParallel:
      return "model_parallel";
  }
  return "?";
}

Strategy parse_strategy(const std::string& name) {
  for (const auto known : {Strategy::kSpill, Strategy::kResident, Strategy::kModelParallel}) {
    if (to_string(known) == name) return known;
  }
  throw Error(
      fmt::format("\"{}\" is no strategy; there are spill, resident and model_parallel", name));
}

}  // namespace shardlab
