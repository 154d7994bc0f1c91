#include "report/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

namespace shardlab {
namespace {

using nlohmann::ordered_json;

std::string strategy_of(const Plan& plan) {
  if (plan.jobs.empty()) return "none";
  for (const JobPlan& job : plan.jobs) {
    if (job.strategy != plan.jobs.front().strategy) return "mixed";
  }
  return to_string(plan.jobs.front().strategy);
}

ordered_json bytes_json(Bytes bytes) {
  return bytes == kUnlimited ? ordered_json(nullptr) : ordered_json(bytes);
}

ordered_json bytes_json(const std::vector<Bytes>& all) {
  ordered_json list = ordered_json::array();
  for (const Bytes bytes : all) list.push_back(bytes_json(bytes));
  return list;
}

ordered_json split_json(const ErrorSplit& split) {
  return {{"profile_s", seconds(split.profile)},
          {"contention_s", seconds(split.contention)},
          {"decisions_s", seconds(split.decisions)},
          {"dispatch_s", seconds(split.dispatch)}};
}

ordered_json timeline_json(const Timeline& timeline) {
  return {{"makespan_s", seconds(timeline.makespan)},
          {"utilization", utilization_json(timeline)},
          {"bytes_moved", metrics(timeline).bytes_moved()},
          {"devices", devices_json(timeline)}};
}

}  // namespace

ordered_json plan_properties_json(const Plan& plan) {
  ordered_json shards = ordered_json::array();
  for (const JobPlan& job : plan.jobs) shards.push_back(job.shards());
  const bool recompute = std::all_of(plan.jobs.begin(), plan.jobs.end(),
                                     [](const JobPlan& job) { return job.recompute; });
  return {{"name", plan.name},   {"strategy", strategy_of(plan)}, {"policy", plan.policy},
          {"admit", plan.admit}, {"slots", plan.slots},           {"recompute", recompute},
          {"seed", plan.seed},   {"shards_per_job", shards}};
}

ordered_json utilization_json(const Utilization& utilization) {
  return {{"occupied", utilization.occupied},
          {"busy", utilization.busy},
          {"useful", utilization.useful}};
}

ordered_json utilization_json(const Timeline& timeline) {
  const Metrics found = metrics(timeline);
  return utilization_json(Utilization{found.occupied(), found.busy(), found.useful()});
}

ordered_json idle_json(const Idle& idle) {
  return {{"lane_copies", idle.copying},
          {"copy_wait", idle.waiting_for_copy},
          {"memory_wait", idle.waiting_for_memory},
          {"job_wait", idle.waiting_for_job},
          {"dispatch", idle.dispatch},
          {"tail", idle.tail},
          {"reducing", idle.reducing},
          {"lost", idle.lost},
          {"absent", idle.absent}};
}

ordered_json bill_json(const Bill& bill) {
  ordered_json json = ordered_json::object();
  if (bill.joules) json.update({{"energy_j", *bill.joules}, {"energy_kwh", *bill.kwh()}});
  if (bill.cost) json["cost"] = *bill.cost;
  return json;
}

ordered_json devices_json(const Timeline& timeline) {
  const Metrics found = metrics(timeline);
  ordered_json devices = ordered_json::array();
  for (std::size_t d = 0; d < found.devices.size(); ++d) {
    const DeviceMetrics& device = found.devices[d];
    const LaneTime& lane = device.lane;
    const auto share = [&](Duration part) { return found.fraction(part); };
    devices.push_back({{"name", timeline.devices[d]},
                       {"occupied", share(device.occupied)},
                       {"busy", share(lane.busy)},
                       {"useful", share(device.useful)},
                       {"lane_copies", share(lane.copying)},
                       {"copy_wait", share(lane.waiting_for_copy)},
                       {"memory_wait", share(lane.waiting_for_memory)},
                       {"job_wait", share(lane.waiting_for_job)},
                       {"dispatch", share(lane.dispatch)},
                       {"tail", share(lane.tail)},
                       {"reducing", share(lane.reducing)},
                       {"lost", share(lane.lost)},
                       {"absent", share(lane.absent)},
                       {"promoted_bytes", device.promoted},
                       {"demoted_bytes", device.demoted},
                       {"peak_bytes", bytes_json(timeline.peak.at(d))},
                       {"budget_bytes", bytes_json(timeline.budget.at(d))}});
  }
  return devices;
}

ordered_json comparison_json(const Comparison& comparison) {
  return {{"plan", comparison.measured.plan},
          {"predicted_s", seconds(comparison.predicted.makespan)},
          {"measured_s", seconds(comparison.measured.makespan)},
          {"replayed_s", seconds(comparison.replayed.makespan)},
          {"naive_s", seconds(comparison.naive)},
          {"lower_bound_s", seconds(comparison.lower_bound)},
          {"bound_by", comparison.bound_by},
          {"gap", comparison.gap()},
          {"error", comparison.error()},
          {"naive_error", comparison.naive_error()},
          {"split", split_json(comparison.split)},
          {"overhead", metrics(comparison.measured).overhead()},
          {"note", comparison.note},
          {"predicted", timeline_json(comparison.predicted)},
          {"measured", timeline_json(comparison.measured)}};
}

std::size_t MeasuredPlan::median() const {
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return runs[a].measured.makespan < runs[b].measured.makespan;
  });
  return order.at((order.size() - 1) / 2);
}

double MeasuredPlan::measured_s() const { return seconds(runs.at(median()).measured.makespan); }

double MeasuredPlan::largest_drift() const {
  const auto nearer = [](double a, double b) { return std::abs(a) < std::abs(b); };
  return *std::max_element(drift.begin(), drift.end(), nearer);
}

ordered_json measured_plan_json(const MeasuredPlan& measured) {
  const Comparison& middle = measured.runs.at(measured.median());
  ordered_json json = plan_properties_json(measured.plan);
  json["predicted_s"] = seconds(middle.predicted.makespan);
  json["naive_s"] = seconds(middle.naive);
  json["lower_bound_s"] = seconds(middle.lower_bound);
  json["measured_s"] = measured.measured_s();
  json["measured_all_s"] = ordered_json::array();
  for (const Comparison& run : measured.runs) {
    json["measured_all_s"].push_back(seconds(run.measured.makespan));
  }
  json["error"] = middle.error();
  json["naive_error"] = middle.naive_error();
  json["split"] = split_json(middle.split);
  json["drift"] = measured.largest_drift();
  json["drift_all"] = measured.drift;
  json["folders"] = measured.folders;
  json["median_run"] = measured.median();
  json["overhead"] = metrics(middle.measured).overhead();
  json["utilization"] = utilization_json(middle.measured);
  json["bytes_moved"] = metrics(middle.measured).bytes_moved();
  json["devices"] = devices_json(middle.measured);
  return json;
}

ordered_json summary_json(const std::vector<MeasuredPlan>& plans) {
  const Timeline& first = plans.at(0).runs.at(0).measured;
  std::vector<Bytes> peak(first.devices.size());
  ordered_json runs = ordered_json::array(), speedups = ordered_json::object();
  for (const MeasuredPlan& plan : plans) {
    for (const Comparison& run : plan.runs) {
      for (std::size_t d = 0; d < peak.size(); ++d) {
        peak[d] = std::max(peak[d], run.measured.peak.at(d));
      }
    }
    runs.push_back(measured_plan_json(plan));
    if (&plan == &plans.front()) continue;
    speedups[plan.plan.name] = plan.measured_s() / plans.front().measured_s();
  }
  return {{"format", "shardlab-summary"},
          {"version", 1},
          {"jobs", first.jobs},
          {"shards_per_job", plan_properties_json(plans.front().plan)["shards_per_job"]},
          {"devices", first.devices},
          {"budget_bytes", bytes_json(first.budget)},
          {"peak_bytes", peak},
          {"speedup", speedups},
          {"runs", runs}};
}

}  // namespace shardlab
