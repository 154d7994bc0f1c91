#include "cli/plan_report.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/estimates.h"
#include "report/ranking.h"
#include "report/table.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

std::string devices_text(const Cluster& cluster, const JobPlan& plan) {
  if (plan.device.empty()) return "any";
  std::vector<std::size_t> ids;
  for (const DeviceId id : plan.device) ids.push_back(index(id));
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  const auto name = [&](std::size_t id) { return cluster.devices[id].name; };
  if (ids.size() == 1) return name(ids[0]);
  if (ids.back() - ids.front() + 1 == ids.size()) {
    return fmt::format("{} to {}", name(ids.front()), name(ids.back()));
  }
  std::string text;
  for (const std::size_t id : ids) text += (text.empty() ? "" : ", ") + name(id);
  return text;
}

/// Of a usual plan nothing was chosen job by job.
std::string strategy_text(const JointPlan& found, std::size_t job) {
  if (!found.chosen.empty()) return to_string(found.chosen[job]);
  return to_string(found.plan.jobs[job].strategy);
}

std::string jobs_text(const Workload& workload, const Cluster& cluster, const JointPlan& found) {
  TextTable table({"job", "strategy", "devices", "alone s"});
  for (std::size_t j = 0; j < found.plan.jobs.size(); ++j) {
    table.row({workload.jobs[j].name, strategy_text(found, j),
               devices_text(cluster, found.plan.jobs[j]),
               found.chosen.empty() ? "-" : fmt::format("{:.3f}", seconds(found.chosen[j].alone))});
  }
  return table.text();
}

/// Predicted over the lower bound, less 1.
double gap(const JointPlan& found, const Prediction& prediction) {
  return gap_over(seconds(found.predicted), seconds(prediction.bounds.greatest()));
}

/// No run that has come to the last phase, and goes on under its plan, ends before.
double replanned_bound_s(const Replanned& found, const Prediction& last) {
  return seconds(found.phases.back().from + last.bounds.greatest());
}

/// Of all phases.
double replanned_gap(const Replanned& found, const Prediction& last) {
  return gap_over(seconds(found.predicted), replanned_bound_s(found, last));
}

std::string names(const Inputs& inputs, const std::vector<std::size_t>& jobs) {
  std::string text;
  for (const std::size_t j : jobs)
    text += (text.empty() ? "" : ", ") + inputs.workload.jobs[j].name;
  return text;
}

ordered_json names_json(const Inputs& inputs, const std::vector<std::size_t>& jobs) {
  ordered_json list = ordered_json::array();
  for (const std::size_t j : jobs) list.push_back(inputs.workload.jobs[j].name);
  return list;
}

ordered_json jobs_json(const Workload& workload, const JointPlan& found) {
  ordered_json list = ordered_json::array();
  for (std::size_t j = 0; j < found.plan.jobs.size(); ++j) {
    ordered_json job{{"name", workload.jobs[j].name},
                     {"strategy", strategy_text(found, j)},
                     {"devices", ordered_json::array()},
                     {"alone_s", nullptr}};
    for (const DeviceId id : found.plan.jobs[j].device) job["devices"].push_back(index(id));
    if (!found.chosen.empty()) job["alone_s"] = seconds(found.chosen[j].alone);
    list.push_back(std::move(job));
  }
  return list;
}

}  // namespace

std::string joint_plan_text(const Inputs& inputs, const JointPlan& found, const Yardsticks& than,
                            const Prediction& prediction, bool interrupted) {
  const double predicted = seconds(found.predicted);
  const char* ended = interrupted         ? ", then it was interrupted"
                      : found.ended_early ? ", then the time was up"
                                          : "";
  const auto line = [&](const std::string& what, const std::optional<Duration>& time) {
    if (!time) return fmt::format("  {}: cannot run\n", what);
    return fmt::format("  {}: {:.3f} s, the plan is {:.2f} times as fast\n", what, seconds(*time),
                       seconds(*time) / predicted);
  };
  std::string text = jobs_text(inputs.workload, inputs.cluster, found);
  text += fmt::format("\n{}: {} {:.3f} s on {} devices; {} plan{} simulated{}\n", found.plan.name,
                      prediction.interval ? "estimated" : "predicted", predicted,
                      inputs.cluster.devices.size(), found.evaluations,
                      found.evaluations == 1 ? "" : "s", ended);
  text +=
      fmt::format("  lower bound of this plan: {:.3f} s (by {}), the plan is {:.1f} % above it\n",
                  seconds(prediction.bounds.greatest()), prediction.bounds.binding(),
                  100 * gap(found, prediction));
  text += line(fmt::format("all spill, {}, on all devices", than.policy_name), than.policy);
  text += line("the best usual plan on one device", than.one_device);
  if (than.policy && than.one_device) {
    text += fmt::format("  {} alone, over one device: {:.2f} times as fast\n", than.policy_name,
                        seconds(*than.one_device) / seconds(*than.policy));
  }
  if (prediction.interval) text += estimate_text(inputs, *prediction.interval) + "\n";
  return text;
}

std::string replanned_text(const Inputs& inputs, const Replanned& found, const Prediction& last) {
  std::string text;
  for (std::size_t i = 1; i < found.phases.size(); ++i) {
    const PlanPhase& phase = found.phases[i];
    text += fmt::format("\nat {:.3f} s, when {} stopped early, planned anew:\n{}",
                        seconds(phase.from), names(inputs, found.phases[i - 1].stopped),
                        jobs_text(phase.workload, inputs.cluster, phase.joint));
  }
  return text + fmt::format(
                    "\nwith early stops: {:.3f} s; under the first plan to the end {:.3f} s\n"
                    "  lower bound once the last plan began: {:.3f} s (by {}), this is {:.1f} % "
                    "above it\n",
                    seconds(found.predicted), seconds(found.unchanged),
                    replanned_bound_s(found, last), last.bounds.binding(),
                    100 * replanned_gap(found, last));
}

ordered_json joint_plan_json(const Inputs& inputs, const JointPlan& found, const Yardsticks& than,
                             const Prediction& prediction) {
  ordered_json body{{"name", found.plan.name},
                    {"policy", found.plan.policy},
                    {"slots", found.plan.slots},
                    {"predicted_s", seconds(found.predicted)},
                    {"lower_bound_s", seconds(prediction.bounds.greatest())},
                    {"bound_by", prediction.bounds.binding()},
                    {"gap", gap(found, prediction)},
                    {"estimated", prediction.interval.has_value()},
                    {"stated_error", std::max(kStatedError, prediction.interval.value_or(0))},
                    {"evaluations", found.evaluations},
                    {"ended_early", found.ended_early},
                    {"policy_alone", than.policy_name},
                    {"policy_alone_s", nullptr},
                    {"one_device_s", nullptr}};
  if (than.policy) body["policy_alone_s"] = seconds(*than.policy);
  if (than.one_device) body["one_device_s"] = seconds(*than.one_device);
  body["jobs"] = jobs_json(inputs.workload, found);
  return body;
}

ordered_json replanned_json(const Inputs& inputs, const Replanned& found, const Prediction& last) {
  ordered_json phases = ordered_json::array();
  for (const PlanPhase& phase : found.phases) {
    phases.push_back({{"from_s", seconds(phase.from)},
                      {"to_s", seconds(phase.to)},
                      {"jobs", jobs_json(phase.workload, phase.joint)},
                      {"stopped", names_json(inputs, phase.stopped)},
                      {"evaluations", phase.joint.evaluations}});
  }
  return {{"phases", std::move(phases)},
          {"replanned_s", seconds(found.predicted)},
          {"unchanged_s", seconds(found.unchanged)},
          {"replanned_lower_bound_s", replanned_bound_s(found, last)},
          {"replanned_bound_by", last.bounds.binding()},
          {"replanned_gap", replanned_gap(found, last)}};
}

}  // namespace shardlab
