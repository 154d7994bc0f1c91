#include "traces/plan_file.h"

#include <array>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"
#include "traces/row_table.h"

namespace shardlab {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-plan";
constexpr int kVersion = 1;

constexpr std::array<std::string_view, 10> kOrderColumns{
    "device", "job",  "minibatch", "unit",       "claim_ns",
    "round",  "pass", "ahead",     "given_back", "kept"};
constexpr std::size_t kLateOrderColumns = 6;
constexpr std::array<std::string_view, 3> kEvictedColumns{"device", "job", "item"};
constexpr std::array<std::string_view, 4> kKeysOfOrder{"order", "evicted", "places", "makespan_ns"};
constexpr std::array<std::string_view, 14> kKeys{
    "format",  "version",      "name",  "policy", "seed",        "admit",
    "slots",   "jobs",         "order", "places", "makespan_ns", "checkpoint_minibatches",
    "evicted", "checkpoint_ns"};
constexpr std::array<std::string_view, 7> kJobKeys{
    "strategy", "first_layer", "device", "recompute", "microbatches", "replicas", "optimizer_step"};

ordered_json job_json(const JobPlan& job) {
  ordered_json devices = ordered_json::array();
  for (const DeviceId device : job.device) devices.push_back(index(device));
  ordered_json result{{"strategy", to_string(job.strategy)},
                      {"first_layer", job.first_layer},
                      {"device", std::move(devices)},
                      {"recompute", job.recompute}};
  if (!job.recompute_shard.empty()) result["recompute"] = job.recompute_shard;
  if (job.microbatches > 1) result["microbatches"] = job.microbatches;
  if (job.replicas > 1) result["replicas"] = job.replicas;
  if (job.step != StepPlace::kCheaper) result["optimizer_step"] = to_string(job.step);
  return result;
}

std::vector<int> first_layers(const json& from) {
  std::vector<int> result;
  for (const json& value : from) {
    const auto layer = static_cast<int>(json_integer(value, 0, INT32_MAX));
    if (result.empty() && layer != 0)
      throw Error(fmt::format("must begin with 0, begins with {}", layer));
    if (!result.empty() && layer <= result.back()) {
      throw Error(fmt::format("must ascend, but {} follows {}", layer, result.back()));
    }
    result.push_back(layer);
  }
  if (result.empty()) throw Error("is empty, so the job has no shard");
  return result;
}

std::vector<DeviceId> devices(const json& from, const JobPlan& job) {
  std::vector<DeviceId> result;
  for (const json& value : from) {
    result.push_back(DeviceId{static_cast<std::uint32_t>(json_integer(value, 0, INT32_MAX))});
  }
  const auto wanted = static_cast<std::size_t>(devices_named(job));
  if (result.size() != wanted) {
    throw Error(fmt::format("must name {} devices for {} shards of {}, names {}", wanted,
                            job.shards(), to_string(job.strategy), result.size()));
  }
  return result;
}

/// One flag, or one per shard.
void read_recompute(const JsonObject& from, JobPlan& to) {
  if (!from.is_array("recompute")) {
    to.recompute = from.flag("recompute");
    return;
  }
  const json& shards = from.array("recompute");
  if (shards.size() != to.first_layer.size()) {
    throw Error(fmt::format("recompute: has {} flags, must have one for each of {} shards",
                            shards.size(), to.shards()));
  }
  for (const json& value : shards) {
    if (!value.is_boolean()) throw Error("recompute: must be true or false, or a list of these");
    to.recompute_shard.push_back(value.get<bool>());
  }
}

JobPlan job_plan(const JsonObject& from) {
  from.refuse_unknown_keys(kJobKeys);
  JobPlan result;
  result.strategy = in_context("strategy", [&] { return parse_strategy(from.text("strategy")); });
  const json& layers = from.array("first_layer");
  result.first_layer = in_context("first_layer", [&] { return first_layers(layers); });
  for (const auto& [key, count] :
       {std::pair{"microbatches", &result.microbatches}, std::pair{"replicas", &result.replicas}}) {
    if (from.has(key)) *count = static_cast<int>(from.integer(key, 1, kMostParts));
  }
  const json& device = from.array("device");
  result.device = in_context("device", [&] { return devices(device, result); });
  read_recompute(from, result);
  if (from.has("optimizer_step")) {
    result.step =
        in_context("optimizer_step", [&] { return parse_step_place(from.text("optimizer_step")); });
  }
  return result;
}

std::string order_row(const OrderedUnit& each) {
  return fmt::format("[{},{},{},{},{},{},{},{},{},{}]", index(each.device), index(each.job),
                     each.minibatch, each.unit, each.claim.time_since_epoch().count(),
                     each.turn.round, each.turn.pass, int{each.ahead}, int{each.given_back},
                     int{each.kept});
}

OrderedUnit ordered_unit(const RowTable::Row& row) {
  OrderedUnit read;
  read.device = DeviceId{static_cast<std::uint32_t>(row.integer(0, INT32_MAX))};
  read.job = JobId{static_cast<std::uint32_t>(row.integer(1, INT32_MAX))};
  read.minibatch = row.integer(2);
  read.unit = static_cast<std::uint32_t>(row.integer(3, UINT32_MAX));
  read.claim = row.instant(4);
  read.turn = {static_cast<std::int32_t>(row.integer(5, INT32_MAX)),
               static_cast<std::int32_t>(row.integer(6, INT32_MAX))};
  if (row.has(7)) read.ahead = row.integer(7, 1) == 1;
  read.given_back = row.integer(8, 1) == 1;
  read.kept = row.integer(9, 1) == 1;
  return read;
}

std::string evicted_row(const Eviction& each) {
  return fmt::format("[{},{},{}]", index(each.device), index(each.job), each.item);
}

Eviction eviction(const RowTable::Row& row) {
  return {DeviceId{static_cast<std::uint32_t>(row.integer(0, INT32_MAX))},
          JobId{static_cast<std::uint32_t>(row.integer(1, INT32_MAX))},
          static_cast<std::uint32_t>(row.integer(2, UINT32_MAX))};
}

void read_order(const JsonObject& root, Plan& into) {
  if (into.policy != kReplay) {
    for (const std::string_view key : kKeysOfOrder) {
      if (!root.has(std::string(key))) continue;
      throw Error(
          fmt::format("{}: policy \"{}\" does not follow an order; write \"{}\" or take this out",
                      key, into.policy, kReplay));
    }
    return;
  }
  const JsonObject order = root.object("order");
  in_context("order", [&] {
    const RowTable table(order, kOrderColumns, kLateOrderColumns, RowTable::Others::kRefused);
    table.each([&](const RowTable::Row& row) { into.order.push_back(ordered_unit(row)); });
  });
  if (root.has("places")) into.places = root.flag("places");
  if (root.has("makespan_ns")) into.makespan = root.duration("makespan_ns");
  if (!root.has("evicted")) return;
  const JsonObject evicted = root.object("evicted");
  in_context("evicted", [&] {
    const RowTable table(evicted, kEvictedColumns, 0, RowTable::Others::kRefused);
    table.each([&](const RowTable::Row& row) { into.evicted.push_back(eviction(row)); });
  });
}

}  // namespace

std::string plan_json(const Plan& plan) {
  ordered_json jobs = ordered_json::array();
  for (const JobPlan& job : plan.jobs) jobs.push_back(job_json(job));
  ordered_json root{{"format", kFormat},     {"version", kVersion}, {"name", plan.name},
                    {"policy", plan.policy}, {"seed", plan.seed},   {"admit", plan.admit},
                    {"slots", plan.slots}};
  const CheckpointRule& rule = plan.checkpoints;
  if (rule.minibatches > 0) root["checkpoint_minibatches"] = rule.minibatches;
  if (rule.every > Duration{}) root["checkpoint_ns"] = rule.every.count();
  root["jobs"] = std::move(jobs);
  std::string text = root.dump(1, ' ', false, json::error_handler_t::replace);
  if (plan.policy == kReplay) {
    text.resize(text.size() - 2);  // Up to the closing brace and its line.
    text += ",\n \"order\": " + rows_json(kOrderColumns, plan.order, order_row);
    if (!plan.evicted.empty()) {
      text += ",\n \"evicted\": " + rows_json(kEvictedColumns, plan.evicted, evicted_row);
    }
    if (!plan.places) text += ",\n \"places\": false";
    if (plan.makespan > Duration{}) {
      text += fmt::format(",\n \"makespan_ns\": {}", plan.makespan.count());
    }
    text += "\n}";
  }
  return text + "\n";
}

Plan parse_plan(std::string_view text) {
  const json file = parse_json_file(text, kFormat, kVersion);
  const JsonObject root(file);
  root.refuse_unknown_keys(kKeys);
  Plan result;
  result.name = root.text("name");
  result.policy = root.text("policy");
  result.seed = root.seed("seed");
  result.admit = static_cast<int>(root.integer("admit", 0, INT32_MAX));
  result.slots = static_cast<int>(root.integer("slots", 1, kMostSlots));
  if (root.has("checkpoint_minibatches")) {
    result.checkpoints.minibatches = root.integer("checkpoint_minibatches", 1, kMostInFile);
  }
  if (root.has("checkpoint_ns")) result.checkpoints.every = root.duration("checkpoint_ns");
  for (const json& job : root.array("jobs")) {
    in_context(fmt::format("job {}", result.jobs.size()),
               [&] { result.jobs.push_back(job_plan(JsonObject(job))); });
  }
  read_order(root, result);
  return result;
}

void write_plan(const std::string& path, const Plan& plan) {
  write_file_atomically(path, in_context(path, [&] { return plan_json(plan); }));
}

Plan read_plan(const std::string& path) {
  const std::string text = read_whole_file(path);
  return in_context(path, [&] { return parse_plan(text); });
}

}  // namespace shardlab
