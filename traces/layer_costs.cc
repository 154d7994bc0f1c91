#include "traces/layer_costs.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace shardlab {

using nlohmann::ordered_json;

ordered_json known_json(const MissingCosts& missing, CostField field, ordered_json value) {
  return missing.has(field) ? ordered_json() : std::move(value);
}

void put(ordered_json& to, const std::string& name, const Measured& measured) {
  to[name + "_ns"] = measured.median.count();
  to[name + "_spread_ns"] = measured.spread.count();
  to[name + "_samples"] = measured.samples;
  if (measured.busy) to[name + "_busy_ns"] = measured.busy->count();
  if (measured.outliers > 0) to[name + "_outliers"] = measured.outliers;
}

Measured read_measured(const JsonObject& from, const std::string& name) {
  Measured result{from.duration(name + "_ns"), from.duration(name + "_spread_ns"),
                  from.integer(name + "_samples", 0, kMostInFile), std::nullopt};
  if (from.has(name + "_busy_ns")) result.busy = from.duration(name + "_busy_ns");
  if (from.has(name + "_outliers")) {
    result.outliers = from.integer(name + "_outliers", 0, result.samples);
  }
  return result;
}

namespace {

ordered_json times_json(const LayerTimes& times, const MissingCosts& missing) {
  ordered_json result;
  for (const auto& [field, name, time] : kTimeFields) {
    if (missing.has(field)) {
      result[std::string(name) + "_ns"] = nullptr;
    } else {
      put(result, name, times.*time);
    }
  }
  return result;
}

LayerTimes times(const JsonObject& from, MissingCosts& missing) {
  LayerTimes result;
  for (const auto& [field, name, time] : kTimeFields) {
    if (from.is_null(std::string(name) + "_ns")) {
      missing.set(field);
    } else {
      result.*time = read_measured(from, name);
    }
  }
  return result;
}

constexpr std::pair<CopyDirection, std::string_view> kDirections[] = {
    {CopyDirection::kHostToDevice, "host_to_device"},
    {CopyDirection::kDeviceToHost, "device_to_host"},
    {CopyDirection::kDeviceToDevice, "device_to_device"},
    {CopyDirection::kOther, "other"}};
constexpr std::pair<Phase, const char*> kPhaseNames[] = {{Phase::kForward, "forward"},
                                                         {Phase::kRecompute, "recompute"},
                                                         {Phase::kBackward, "backward"},
                                                         {Phase::kStep, "step"}};

CopyDirection direction(const JsonObject& from) {
  const std::string text = from.text("direction");
  for (const auto& [direction, name] : kDirections) {
    if (name == text) return direction;
  }
  throw Error("direction: is \"" + text + "\", must be host_to_device, device_to_host, " +
              "device_to_device or other");
}

}  // namespace

ordered_json device_work_json(const DeviceWork& work) {
  ordered_json copies = ordered_json::array();
  for (const auto& [of, totals] : work.copies) {
    copies.push_back({{"direction", kDirections[static_cast<std::size_t>(of.direction)].second},
                      {"pinned", of.pinned},
                      {"count", totals.count},
                      {"bytes", totals.bytes},
                      {"busy_ns", totals.busy.count()}});
  }
  return {{"minibatches", work.minibatches},
          {"launches", work.launches},
          {"busy_ns", work.busy.count()},
          {"gaps_ns", work.gaps.count()},
          {"copies", std::move(copies)}};
}

DeviceWork read_device_work(const JsonObject& from) {
  const auto count = [](const JsonObject& of, const char* key) {
    return of.integer(key, 0, kMostInFile);
  };
  DeviceWork result{count(from, "minibatches"), count(from, "launches"), from.duration("busy_ns"),
                    from.duration("gaps_ns")};
  in_context("copies", [&] {
    for (const nlohmann::json& each : from.array("copies")) {
      const JsonObject copies(each);
      add(result.copies, {direction(copies), copies.flag("pinned")},
          {count(copies, "count"), count(copies, "bytes"), copies.duration("busy_ns")});
    }
  });
  return result;
}

ordered_json recorded_json(const LayerCost& layer) {
  ordered_json result = ordered_json::object();
  for (const auto& [phase, name] : kPhaseNames) {
    const auto did = layer.recorded.find(phase);
    if (did != layer.recorded.end()) result[name] = device_work_json(did->second);
  }
  return result;
}

ordered_json layer_json(const LayerCost& layer) {
  ordered_json result{{"name", layer.name}};
  for (const auto& [field, bytes] : kBytesFields) {
    result[std::string(name(field))] = known_json(layer.missing, field, layer.*bytes);
  }
  result["alone"] = times_json(layer.alone, layer.missing);
  result["loaded"] = times_json(layer.loaded, layer.missing);
  if (layer.host_step) put(result, "host_step", *layer.host_step);
  if (!layer.recorded.empty()) result["recorded"] = recorded_json(layer);
  return result;
}

LayerCost read_layer(const JsonObject& from) {
  LayerCost result;
  result.name = from.text("name");
  for (const auto& [field, bytes] : kBytesFields) {
    const std::string key(name(field));
    if (from.is_null(key)) {
      result.missing.set(field);
    } else {
      result.*bytes = from.integer(key, 0, kMostInFile);
    }
  }
  MissingCosts& missing = result.missing;
  result.alone = in_context("alone", [&] { return times(from.object("alone"), missing); });
  result.loaded = in_context("loaded", [&] { return times(from.object("loaded"), missing); });
  if (from.has("host_step_ns")) result.host_step = read_measured(from, "host_step");
  if (from.has("recorded")) {
    in_context("recorded", [&] {
      const JsonObject recorded = from.object("recorded");
      for (const auto& [phase, name] : kPhaseNames) {
        if (!recorded.has(name)) continue;
        result.recorded[phase] =
            in_context(name, [&] { return read_device_work(recorded.object(name)); });
      }
    });
  }
  return result;
}

}  // namespace shardlab
