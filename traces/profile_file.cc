#include "traces/profile_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"
#include "traces/layer_costs.h"

namespace shardlab {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-profile";
constexpr int kVersion = 1;

ordered_json shape_json(const ModelProfile& entry) {
  const ModelSpec& model = entry.model;
  if (model.architecture == Architecture::kImported) {
    return {
        {"model", describe(model)},
        {"input_bytes", entry.input ? ordered_json(*entry.input) : ordered_json()},
        {"precision", entry.imported_precision ? ordered_json(to_string(*entry.imported_precision))
                                               : ordered_json()}};
  }
  ordered_json shape{{"model", to_string(model.architecture)},
                     {"layers", model.layers},
                     {"width", model.width},
                     {"heads", model.heads},
                     {"context", model.context},
                     {"dropout", json_number(model.dropout)},
                     {"precision", to_string(model.precision)}};
  if (model.batch_norm) shape["norm"] = kBatchNorm;
  if (model.feed_forward > 0) shape["feed_forward"] = model.feed_forward;
  return shape;
}

ordered_json model_json(const ModelProfile& model) {
  ordered_json layers = ordered_json::array();
  for (const LayerCost& cost : model.layers) layers.push_back(layer_json(cost));
  ordered_json result = shape_json(model);
  result["batch"] = model.batch;
  result["optimizer"] = to_string(model.optimizer);
  if (model.interval) result["estimated_interval"] = json_number(*model.interval);
  if (model.whole) put(result, "whole", *model.whole);
  if (model.around) put(result, "around", *model.around);
  if (model.whole_step) result["whole_step"] = device_work_json(*model.whole_step);
  if (model.unattributed) result["unattributed"] = device_work_json(*model.unattributed);
  result["costs"] = std::move(layers);
  return result;
}

int count(const JsonObject& from, const char* key) {
  return static_cast<int>(from.integer(key, 1, INT32_MAX));
}

/// The model, and where it is imported its input and precision.
void read_shape(const JsonObject& from, ModelProfile& to) {
  ModelSpec& model = to.model;
  const std::string named = from.text("model");
  if (named.starts_with(kImportedPrefix)) {
    model.architecture = Architecture::kImported;
    model.imported = named.substr(kImportedPrefix.size());
    if (!from.is_null("input_bytes")) to.input = from.integer("input_bytes", 0, kMostInFile);
    if (from.has("precision") && !from.is_null("precision")) {
      to.imported_precision =
          in_context("precision", [&] { return parse_any_precision(from.text("precision")); });
    }
    return;
  }
  model.architecture = in_context("model", [&] { return parse_architecture(named); });
  model.layers = count(from, "layers");
  model.width = count(from, "width");
  model.heads = count(from, "heads");
  model.context = count(from, "context");
  model.dropout = from.number("dropout");
  if (from.has("precision")) {
    model.precision =
        in_context("precision", [&] { return parse_precision(from.text("precision")); });
  }
  if (from.has("norm")) {
    const std::string norm = from.text("norm");
    if (norm != kBatchNorm) {
      throw Error(fmt::format("norm: is \"{}\", must be \"{}\"", norm, kBatchNorm));
    }
    model.batch_norm = true;
  }
  if (from.has("feed_forward")) model.feed_forward = usual_or(count(from, "feed_forward"), model);
}

ModelProfile header(const JsonObject& from) {
  ModelProfile result;
  read_shape(from, result);
  result.batch = count(from, "batch");
  result.optimizer =
      in_context("optimizer", [&] { return parse_optimizer(from.text("optimizer")); });
  return result;
}

std::optional<DeviceWork> recorded(const JsonObject& from, const char* key) {
  if (!from.has(key)) return std::nullopt;
  return in_context(key, [&] { return read_device_work(from.object(key)); });
}

ModelProfile model(const JsonObject& from) {
  ModelProfile result = header(from);
  in_context(fmt::format("{}, batch {}", describe(result.model), result.batch), [&] {
    for (const json& cost : from.array("costs")) {
      in_context(fmt::format("layer {}", result.layers.size()),
                 [&] { result.layers.push_back(read_layer(JsonObject(cost))); });
    }
    if (result.layers.empty()) throw Error("costs: is empty");
    if (from.has("whole_ns")) result.whole = read_measured(from, "whole");
    if (from.has("around_ns")) result.around = read_measured(from, "around");
    result.whole_step = recorded(from, "whole_step");
    result.unattributed = recorded(from, "unattributed");
    if (from.has("estimated_interval")) result.interval = from.number("estimated_interval");
  });
  return result;
}

ordered_json host_json(const HostCosts& host) {
  const auto known = [&](CostField field, ordered_json value) {
    return known_json(host.missing, field, std::move(value));
  };
  const auto rate = [](const CopyCost& copy) { return json_number(copy.bytes_per_second); };
  const auto latency = [](const CopyCost& copy) { return copy.latency.count(); };
  return {{"copy_latency_ns", known(CostField::kCopy, latency(host.copy))},
          {"copy_bytes_per_second", known(CostField::kCopy, rate(host.copy))},
          {"copy_back_latency_ns", known(CostField::kCopyBack, latency(host.copy_back))},
          {"copy_back_bytes_per_second", known(CostField::kCopyBack, rate(host.copy_back))},
          {"unit_overhead_ns", known(CostField::kUnitOverhead, host.unit_overhead.count())},
          {"dispatch_ns", known(CostField::kDispatch, host.dispatch.count())}};
}

HostCosts host(const JsonObject& from) {
  HostCosts result;
  const auto copy = [&](const std::string& name, CostField field) -> CopyCost {
    result.missing.set(field, from.is_null(name + "_bytes_per_second"));
    if (result.missing.has(field)) return {};
    return {from.duration(name + "_latency_ns"), from.number(name + "_bytes_per_second")};
  };
  const auto time = [&](CostField field) {
    const std::string key(name(field));
    result.missing.set(field, from.is_null(key));
    return result.missing.has(field) ? Duration{} : from.duration(key);
  };
  result.copy = copy("copy", CostField::kCopy);
  result.unit_overhead = time(CostField::kUnitOverhead);
  result.dispatch = time(CostField::kDispatch);
  if (from.has("copy_back_latency_ns")) {
    result.copy_back = copy("copy_back", CostField::kCopyBack);
  } else {
    result.copy_back = result.copy;
    result.missing.set(CostField::kCopyBack, result.missing.has(CostField::kCopy));
  }
  return result;
}

ordered_json activity_json(const ActivityFacts& from) {
  ordered_json result{{"source", from.source},
                      {"unattributed", json_number(from.unattributed)},
                      {"by_launch", json_number(from.by_launch)},
                      {"slow_down", json_number(from.slow_down)},
                      {"dropped", from.dropped},
                      {"mismatched", json_number(from.mismatched)}};
  if (from.over_events) result["over_events"] = json_number(*from.over_events);
  return result;
}

ActivityFacts activity(const JsonObject& from) {
  ActivityFacts result{from.text("source"), from.number("unattributed"), from.number("by_launch"),
                       from.number("slow_down"), from.integer("dropped", 0, kMostInFile)};
  if (from.has("mismatched")) result.mismatched = from.number("mismatched");
  if (from.has("over_events")) result.over_events = from.number("over_events");
  return result;
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

/// How it was measured, beyond what every profile says.
void put_plan(ordered_json& to, const Provenance& from) {
  if (from.repeats) {
    to["repeats"] = {{"median_interval", json_number(from.repeats->interval)},
                     {"wanted_interval", json_number(from.repeats->wanted)},
                     {"ended_by", from.repeats->ended}};
  }
  if (!from.conditions.empty()) to["conditions"] = conditions_json(from.conditions);
  if (from.allocator_rounding) to["allocator_rounding"] = json_number(*from.allocator_rounding);
}

void read_plan(const JsonObject& from, Provenance& to) {
  if (from.has("repeats")) {
    in_context("repeats", [&] {
      const JsonObject repeats = from.object("repeats");
      to.repeats = {repeats.number("median_interval"), repeats.number("wanted_interval"),
                    repeats.text("ended_by")};
    });
  }
  if (from.has("conditions")) {
    in_context("conditions", [&] {
      for (const json& each : from.array("conditions")) {
        const JsonObject condition(each);
        to.conditions.push_back(
            {condition.text("what"), condition.text("before"), condition.text("after")});
      }
    });
  }
  if (from.has("allocator_rounding")) to.allocator_rounding = from.number("allocator_rounding");
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
  put_plan(result, from);
  if (from.activity) result["activity"] = activity_json(*from.activity);
  if (!from.notes.empty()) result["notes"] = from.notes;
  for (const SourceFile& each : from.sources) {
    result["sources"].push_back({{"file", each.name}, {"bytes", each.bytes}, {"xxh3", each.xxh3}});
  }
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
  read_plan(from, result);
  if (from.has("activity")) {
    result.activity = in_context("activity", [&] { return activity(from.object("activity")); });
  }
  if (from.has("notes")) {
    for (const json& note : from.array("notes")) {
      if (!note.is_string()) throw Error("notes: must be a list of strings");
      result.notes.push_back(note.get<std::string>());
    }
  }
  if (from.has("sources")) {
    in_context("sources", [&] {
      for (const json& each : from.array("sources")) {
        const JsonObject source(each);
        result.sources.push_back(
            {source.text("file"), source.integer("bytes", 0, kMostInFile), source.text("xxh3")});
      }
    });
  }
  if (from.has("estimated")) {
    result.estimated = in_context("estimated", [&] { return estimate(from.object("estimated")); });
  }
  return result;
}

}  // namespace

ordered_json conditions_json(const std::vector<Condition>& conditions) {
  auto result = ordered_json::array();
  for (const Condition& each : conditions) {
    result.push_back({{"what", each.what}, {"before", each.before}, {"after", each.after}});
  }
  return result;
}

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
