#include "core/plan.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::pair<Strategy, std::string_view> kNames[] = {
    {Strategy::kSpill, "spill"},
    {Strategy::kResident, "resident"},
    {Strategy::kModelParallel, "model_parallel"},
    {Strategy::kGpipe, "gpipe"},
    {Strategy::kOneFOneB, "one_f_one_b"},
    {Strategy::kInterleaved, "interleaved"},
    {Strategy::kZeroOffload, "zero_offload"},
};

}  // namespace

std::string to_string(Strategy strategy) {
  for (const auto& [each, name] : kNames) {
    if (each == strategy) return std::string(name);
  }
  return "?";
}

Strategy parse_strategy(const std::string& name) {
  std::string known;
  for (const auto& [each, its_name] : kNames) {
    if (its_name == name) return each;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", its_name);
  }
  throw Error(fmt::format("\"{}\" is no strategy; there are {}", name, known));
}

}  // namespace shardlab
