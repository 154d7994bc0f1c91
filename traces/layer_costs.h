#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/profile.h"
#include "traces/json_object.h"

/// A layer in the JSON of a profile. A missing cost is null there: neither a number nor left out by
/// mistake.
namespace shardlab {

struct TimeField {
  CostField field;
  const char* name;
  Measured LayerTimes::*time;
};
inline constexpr TimeField kTimeFields[] = {
    {CostField::kForward, "forward", &LayerTimes::forward},
    {CostField::kRecompute, "recompute", &LayerTimes::recompute},
    {CostField::kBackward, "backward", &LayerTimes::backward},
    {CostField::kStep, "step", &LayerTimes::step}};

struct BytesField {
  CostField field;
  Bytes LayerCost::*bytes;
};
inline constexpr BytesField kBytesFields[] = {
    {CostField::kParameters, &LayerCost::parameters},
    {CostField::kState, &LayerCost::state},
    {CostField::kOutput, &LayerCost::output},
    {CostField::kForwardWorkspace, &LayerCost::forward_workspace},
    {CostField::kSaved, &LayerCost::saved},
    {CostField::kBackwardWorkspace, &LayerCost::backward_workspace}};

nlohmann::ordered_json layer_json(const LayerCost& layer);
LayerCost read_layer(const JsonObject& from);

/// What a device did by its records; see docs/formats.md.
nlohmann::ordered_json device_work_json(const DeviceWork& work);
DeviceWork read_device_work(const JsonObject& from);
/// Of every phase that was seen, by its name.
nlohmann::ordered_json recorded_json(const LayerCost& layer);

/// `value`, or null where `field` is missing.
nlohmann::ordered_json known_json(const MissingCosts& missing, CostField field,
                                  nlohmann::ordered_json value);

/// `forward_ns`, `forward_spread_ns` and so on, for the name `forward`.
void put(nlohmann::ordered_json& to, const std::string& name, const Measured& measured);
Measured read_measured(const JsonObject& from, const std::string& name);

}  // namespace shardlab
