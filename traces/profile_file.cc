#include "traces/profile_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"

namespace shardlab {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-profile";
constexpr int kVersion = 1;

void put(ordered_json& to, const std::string& name, const Measured& measured) {
  to[name + "_ns"] = measured.median.count();
  to[name + "_spread_ns"] = measured.spread.count();
  to[name + "_samples"] = measured.samples;
  if (measured.busy) to[name + "_busy_ns"] = measured.busy->count();
}

Measured measured(const JsonObject& from, const std::string& name) {
  Measured result{from.duration(name + "_ns"), from.duration(name + "_spread_ns"),
                  from.integer(name + "_samples", 0, kMostInFile), std::nullopt};
  if (from.has(name + "_busy_ns")) result.busy = from.duration(name + "_busy_ns");
  return result;
}

ordered_json times_json(const LayerTimes& times) {
  ordered_json result;
  put(result, "forward", times.forward);
  put(result, "recompute", times.recompute);
  put(result, "backward", times.backward);
  put(result, "step", times.step);
  return result;
}

LayerTimes times(const JsonObject& from) {
  return {measured(from, "forward"), measured(from, "recompute"), measured(from, "backward"),
          measured(from, "step")};
}

ordered_json layer_json(const LayerCost& layer) {
  return {{"name", layer.name},
          {"parameter_bytes", layer.parameters},
          {"state_bytes", layer.state},
          {"output_bytes", layer.output},
          {"forward_workspace_bytes", layer.forward_workspace},
          {"saved_bytes", layer.saved},
          {"backward_workspace_bytes", layer.backward_workspace},
          {"alone", times_json(layer.alone)},
          {"loaded", times_json(layer.loaded)}};
}

LayerCost layer(const JsonObject& from) {
  LayerCost result;
  result.name = from.text("name");
  const auto bytes = [&](const char* key) { return from.integer(key, 0, kMostInFile); };
  result.parameters = bytes("parameter_bytes");
  result.state = bytes("state_bytes");
  result.output = bytes("output_bytes");
  result.forward_workspace = bytes("forward_workspace_bytes");
  result.saved = bytes("saved_bytes");
  result.backward_workspace = bytes("backward_workspace_bytes");
  result.alone = in_context("alone", [&] { return times(from.object("alone")); });
  result.loaded = in_context("loaded", [&] { return times(from.object("loaded")); });
  return result;
}

ordered_json model_json(const ModelProfile& model) {
  ordered_json layers = ordered_json::array();
  for (const LayerCost& cost : model.layers) layers.push_back(layer_json(cost));
  ordered_json result{{"model", to_string(model.model.architecture)},
                      {"layers", model.model.layers},
                      {"width", model.model.width},
                      {"heads", model.model.heads},
                      {"context", model.model.context},
                      {"dropout", json_number(model.model.dropout)},
                      {"precision", to_string(model.model.precision)},
                      {"batch", model.batch},
                      {"optimizer", to_string(model.optimizer)}};
  if (model.interval) result["estimated_interval"] = json_number(*model.interval);
  if (model.whole) put(result, "whole", *model.whole);
  result["costs"] = std::move(layers);
  return result;
}

ModelProfile header(const JsonObject& from) {
  ModelProfile result;
  const auto count = [&](const char* key) {
    return static_cast<int>(from.integer(key, 1, INT32_MAX));
  };
  result.model.architecture =
      in_context("model", [&] { return parse_architecture(from.text("model")); });
  result.model.layers = count("layers");
  result.model.width = count("width");
  result.model.heads = count("heads");
  result.model.context = count("context");
  result.model.dropout = from.number("dropout");
  if (from.has("precision")) {
    result.model.precision =
        in_context("precision", [&] { return parse_precision(from.text("precision")); });
  }
  result.batch = count("batch");
  result.optimizer =
      in_context("optimizer", [&] { return parse_optimizer(from.text("optimizer")); });
  return result;
}

ModelProfile model(const JsonObject& from) {
  ModelProfile result = header(from);
  in_context(fmt::format("{}, batch {}", describe(result.model), result.batch), [&] {
    for (const json& cost : from.array("costs")) {
      in_context(fmt::format("layer {}", result.layers.size()),
                 [&] { result.layers.push_back(layer(JsonObject(cost))); });
    }
    if (result.layers.empty()) throw Error("costs: is empty");
    if (from.has("whole_ns")) result.whole = measured(from, "whole");
    if (from.has("estimated_interval")) result.interval = from.number("estimated_interval");
  });
  return result;
}

ordered_json host_json(const HostCosts& host) {
  return {{"copy_latency_ns", host.copy.latency.count()},
          {"copy_bytes_per_second", json_number(host.copy.bytes_per_second)},
          {"copy_back_latency_ns", host.copy_back.latency.count()},
          {"copy_back_bytes_per_second", json_number(host.copy_back.bytes_per_second)},
          {"unit_overhead_ns", host.unit_overhead.count()},
          {"dispatch_ns", host.dispatch.count()}};
}

HostCosts host(const JsonObject& from) {
  const auto copy = [&](const std::string& name) -> CopyCost {
    return {from.duration(name + "_latency_ns"), from.number(name + "_bytes_per_second")};
  };
  HostCosts result{
      copy("copy"), from.duration("unit_overhead_ns"), from.duration("dispatch_ns"), {}};
  result.copy_back = from.has("copy_back_latency_ns") ? copy("copy_back") : result.copy;
  return result;
}

ordered_json activity_json(const ActivityFacts& from) {
  return {{"source", from.source},
          {"unattributed", json_number(from.unattributed)},
          {"by_launch", json_number(from.by_launch)},
          {"slow_down", json_number(from.slow_down)},
          {"dropped", from.dropped}};
}

ActivityFacts activity(const JsonObject& from) {
  return {from.text("source"), from.number("unattributed"), from.number("by_launch"),
          from.number("slow_down"), from.integer("dropped", 0, kMostInFile)};
}

ordered_json estimate_json(const Estimate& from) {
  ordered_json result{
      {"method", from.method}, {"inputs", from.inputs}, {"interval", json_number(from.interval)}};
  if (from.held_out) result["held_out_error"] = json_number(*from.held_out);
  return result;
}

Estimate estimate(const JsonObject& from) {
  Estimate result{from.text("method"), {}, from.number("interval"), std::nullopt};
  for (const json& input : from.array("inputs")) {
    if (!input.is_string()) throw Error("inputs: must be a list of texts");
    result.inputs.push_back(input.get<std::string>());
  }
  if (from.has("held_out_error")) result.held_out = from.number("held_out_error");
  return result;
}

ordered_json provenance_json(const Provenance& from) {
  ordered_json result{{"device", from.device},
                      {"libtorch", from.libtorch},
                      {"shardlab", from.shardlab},
                      {"date", from.date},
                      {"method", from.method},
                      {"lanes", from.lanes},
                      {"threads_per_lane", from.threads_per_lane},
                      {"warm_up_rounds", from.warm_up},
                      {"rounds", from.rounds},
                      {"drift", json_number(from.drift)},
                      {"fixed_work_ns", from.fixed_work.count()}};
  if (from.activity) result["activity"] = activity_json(*from.activity);
  if (from.estimated) result["estimated"] = estimate_json(*from.estimated);
  return result;
}

Provenance provenance(const JsonObject& from) {
  Provenance result;
  const auto count = [&](const char* key) {
    return static_cast<int>(from.integer(key, 0, INT32_MAX));
  };
  result.device = from.text("device");
  result.libtorch = from.text("libtorch");
  result.shardlab = from.text("shardlab");
  result.date = from.text("date");
  result.method = from.text("method");
  result.lanes = count("lanes");
  result.threads_per_lane = count("threads_per_lane");
  result.warm_up = count("warm_up_rounds");
  result.rounds = count("rounds");
  result.drift = from.number("drift");
  result.fixed_work = from.duration("fixed_work_ns");
  if (from.has("activity")) {
    result.activity = in_context("activity", [&] { return activity(from.object("activity")); });
  }
  if (from.has("estimated")) {
    result.estimated = in_context("estimated", [&] { return estimate(from.object("estimated")); });
  }
  return result;
}

}  // namespace

std::string profile_json(const Profile& profile) {
  ordered_json models = ordered_json::array();
  for (const ModelProfile& entry : profile.models) models.push_back(model_json(entry));
  const ordered_json root{{"format", kFormat},
                          {"version", kVersion},
                          {"provenance", provenance_json(profile.provenance)},
                          {"alone", host_json(profile.alone)},
                          {"loaded", host_json(profile.loaded)},
                          {"models", std::move(models)}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Profile parse_profile(std::string_view text) {
  const json file = parse_json_file(text, kFormat, kVersion);
  const JsonObject root(file);
  Profile result;
  result.provenance =
      in_context("provenance", [&] { return provenance(root.object("provenance")); });
  result.alone = in_context("alone", [&] { return host(root.object("alone")); });
  result.loaded = in_context("loaded", [&] { return host(root.object("loaded")); });
  for (const json& entry : root.array("models")) {
    in_context(fmt::format("model {}", result.models.size()),
               [&] { result.models.push_back(model(JsonObject(entry))); });
  }
  return result;
}

void write_profile(const std::string& path, const Profile& profile) {
  write_file_atomically(path, in_context(path, [&] { return profile_json(profile); }));
}

Profile read_profile(const std::string& path) {
  const std::string text = read_whole_file(path);
  Profile profile = in_context(path, [&] { return parse_profile(text); });
  profile.path = path;
  return profile;
}

}  // namespace shardlab
