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
constexpr std::pair<StepPlace, std::string_view> kPlaces[] = {
    {StepPlace::kDevice, "device"},
    {StepPlace::kHost, "host"},
    {StepPlace::kCheaper, "cheaper"},
};

template <typename Named>
std::string name_of(const auto& names, Named which) {
  for (const auto& [each, name] : names) {
    if (each == which) return std::string(name);
  }
  return "?";
}

auto named(const auto& names, const std::string& wanted, std::string_view what) {
  std::string known;
  for (const auto& [each, name] : names) {
    if (name == wanted) return each;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  throw Error(fmt::format("\"{}\" is no {}; there are {}", wanted, what, known));
}

}  // namespace

std::string to_string(Strategy strategy) { return name_of(kNames, strategy); }
Strategy parse_strategy(const std::string& name) { return named(kNames, name, "strategy"); }
std::string to_string(StepPlace place) { return name_of(kPlaces, place); }
StepPlace parse_step_place(const std::string& name) {
  return named(kPlaces, name, "place to step");
}

}  // namespace shardlab
