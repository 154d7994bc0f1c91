#include "cli/prediction.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/estimates.h"
#include "core/error.h"
#include "policies/bounds.h"
#include "policies/order_departure.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "report/metrics.h"
#include "report/summary.h"
#include "report/table.h"
#include "sched/lower.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

Bytes largest(const std::vector<Bytes>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

PlanResult result(const Prediction& prediction) {
  return {prediction.plan.name,
          seconds(prediction.outcome.makespan),
          seconds(prediction.naive),
          seconds(prediction.bounds.greatest()),
          std::string(prediction.bounds.binding()),
          largest(prediction.outcome.peak)};
}

/// One line per reason, however many plans have it.
std::string refused_text(const std::vector<Ranking::Refused>& refused) {
  std::vector<std::pair<std::string, std::string>> names_by_reason;
  for (const auto& [name, reason] : refused) {
    if (!names_by_reason.empty() && names_by_reason.back().second == reason) {
      names_by_reason.back().first += ", " + name;
    } else {
      names_by_reason.emplace_back(name, reason);
    }
  }
  std::string text;
  for (const auto& [names, reason] : names_by_reason)
    text += fmt::format("{} cannot run: {}\n", names, reason);
  return text;
}

/// "99/93/72".
std::string utilization_text(const Outcome& outcome) {
  const Utilization found = utilization(outcome);
  return fmt::format("{:.0f}/{:.0f}/{:.0f}", 100 * found.occupied, 100 * found.busy,
                     100 * found.useful);
}

std::vector<std::string> cells(const RankedResult& ranked, const Prediction& prediction) {
  const PlanResult& result = ranked.result;
  std::vector<std::string> all{ranked.label(),
                               result.name,
                               fmt::format("{:.3f}", result.predicted_s),
                               fmt::format("{:.3f}", result.naive_s),
                               fmt::format("{:.3f}", result.lower_bound_s),
                               fmt::format("{:.1f}", 100 * result.gap()),
                               result.bound_by,
                               utilization_text(prediction.outcome),
                               format_mebibytes(prediction.bytes_moved()),
                               format_mebibytes(result.peak)};
  for (const auto& amount : {prediction.bill.kwh(), prediction.bill.cost}) {
    if (amount) all.push_back(fmt::format("{:.4g}", *amount));
  }
  return all;
}

ordered_json jobs_json(const Prediction& prediction) {
  ordered_json jobs = ordered_json::array();
  for (std::size_t j = 0; j < prediction.outcome.jobs.size(); ++j) {
    const JobEnd& end = prediction.outcome.jobs[j];
    jobs.push_back({{"name", prediction.names[j]},
                    {"completed", end.completed},
                    {"reason", end.reason},
                    {"minibatches", end.minibatches},
                    {"end_s", seconds(end.at)}});
  }
  return jobs;
}

ordered_json plan_json(const RankedResult& ranked, const Prediction& prediction) {
  ordered_json json = plan_properties_json(prediction.plan);
  json["estimated"] = prediction.interval.has_value();
  json["rank"] = ranked.rank;
  json["tied"] = ranked.tied;
  json["predicted_s"] = ranked.result.predicted_s;
  json["naive_s"] = ranked.result.naive_s;
  json["lower_bound_s"] = ranked.result.lower_bound_s;
  json["bound_by"] = ranked.result.bound_by;
  json["gap"] = ranked.result.gap();
  json["bounds"] = ordered_json::object();
  for (const auto& [name, bound] : prediction.bounds.all()) {
    json["bounds"][std::string(name) + "_s"] = seconds(bound);
  }
  json["utilization"] = utilization_json(utilization(prediction.outcome));
  json["idle"] = idle_json(idle(prediction.outcome));
  const CompletionTimes completion = completion_times(prediction.outcome.jobs);
  json["completion"] = {
      {"mean_s", completion.mean}, {"p95_s", completion.p95}, {"max_s", completion.largest}};
  json["bytes_moved"] = prediction.bytes_moved();
  json["devices_lost"] = prediction.outcome.devices_lost;
  json["units_redone"] = prediction.outcome.redone;
  json["host_peak_bytes"] = prediction.outcome.host_peak;
  json["disk_read_bytes"] = prediction.outcome.read;
  json["disk_written_bytes"] = prediction.outcome.written;
  json["peak_bytes"] = prediction.outcome.peak;
  json.update(bill_json(prediction.bill));
  json["note"] = prediction.note;
  if (!prediction.on_host.empty()) json["steps_on_host"] = steps_json(prediction);
  if (prediction.stopped > 0) json["jobs"] = jobs_json(prediction);
  if (!prediction.timeline.units.empty()) json["devices"] = devices_json(prediction.timeline);
  return json;
}

double units_of(const Program& program) {
  double units = 0;
  for (const JobProgram& job : program.jobs) {
    units += static_cast<double>(job.units.size()) * static_cast<double>(job.minibatches);
  }
  return units;
}

std::size_t stopped_jobs(const Outcome& outcome) {
  return static_cast<std::size_t>(std::count_if(outcome.jobs.begin(), outcome.jobs.end(),
                                                [](const JobEnd& end) { return !end.completed; }));
}

std::vector<Prediction::OnHost> on_host(const Program& program) {
  std::vector<Prediction::OnHost> found;
  for (const JobProgram& job : program.jobs) {
    if (job.host_step.empty()) continue;
    const std::vector<bool> shards = shards_on_host(job);
    Prediction::OnHost& each = found.emplace_back(job.name);
    each.of = static_cast<int>(shards.size());
    for (int s = 0; s < each.of; ++s) {
      if (shards[static_cast<std::size_t>(s)]) each.shards.push_back(s);
    }
  }
  return found;
}

/// The program without the minibatches that stopped jobs did not run.
Program that_ran(Program program, const Outcome& outcome) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    program.jobs[j].minibatches = outcome.jobs[j].minibatches;
  }
  return program;
}

}  // namespace

std::string steps_text(const Prediction& prediction) {
  std::string text;
  for (const auto& [job, shards, of] : prediction.on_host) {
    text += std::ssize(shards) == of
                ? fmt::format("{} steps on the host\n", job)
                : fmt::format("{} steps on the host with shard{} {} of {}\n", job,
                              shards.size() == 1 ? "" : "s", fmt::join(shards, ", "), of);
  }
  return text;
}

ordered_json steps_json(const Prediction& prediction) {
  ordered_json json = ordered_json::object();
  for (const auto& [job, shards, of] : prediction.on_host) json[job] = shards;
  return json;
}

std::string lost_devices_text(const Outcome& outcome) {
  const std::string again =
      fmt::format("{} unit{} began again", outcome.redone, outcome.redone == 1 ? "" : "s");
  if (outcome.devices_lost == 0) return again + " for want of memory";
  return fmt::format("a device was lost {} time{}, {}", outcome.devices_lost,
                     outcome.devices_lost == 1 ? "" : "s", again);
}

bool fits_timeline(const Program& program) {
  return units_of(program) <= static_cast<double>(kMostSpans);
}

void refuse_hours(const Program& program, std::int64_t times) {
  constexpr double kMostUnits = 5e9;
  const double units = units_of(program) * static_cast<double>(times);
  if (units <= kMostUnits) return;
  throw Error(fmt::format(
      "{:.1e} units would take hours to simulate, at most {:.0e} are; give fewer {}minibatches: "
      "makespans grow in proportion",
      units, kMostUnits, times > 1 ? "replications or " : ""));
}

Prediction predict(const Inputs& inputs, const Plan& plan, bool with_timeline) {
  Prediction made;
  made.plan = plan;
  made.program = lower(inputs.workload, inputs.cluster, inputs.profile, plan);
  refuse_hours(made.program, 1);
  made.on_host = on_host(made.program);
  made.interval = estimated_interval(inputs, plan);
  EstimatedCosts costs(made.program);
  const auto policy =
      make_policy(plan, made.program, inputs.cluster.devices.size(), Replay::Times::kKept);
  const auto tuner = make_tuner(inputs.workload);
  made.outcome = simulate(made.program, inputs.cluster, *policy, costs,
                          with_timeline && fits_timeline(made.program) ? &made.timeline : nullptr,
                          tuner.get());
  made.timeline.plan = plan.name;
  if (plan.policy == kReplay) {
    made.departure =
        order_departure(plan, made.program, inputs.cluster, made.timeline, made.outcome.makespan);
  }
  made.stopped = stopped_jobs(made.outcome);
  if (made.stopped > 0) {
    for (const JobProgram& job : made.program.jobs) made.names.push_back(job.name);
  }
  const Program ran = made.stopped > 0 ? that_ran(made.program, made.outcome) : Program{};
  const Program& counted = made.stopped > 0 ? ran : made.program;
  made.naive = naive_estimate(counted, inputs.cluster);
  made.bounds = bounds(counted, inputs.cluster, /*may_pause=*/tuner != nullptr);
  made.bill = bill(inputs.cluster, made.outcome.makespan, made.outcome.lanes);
  return made;
}

Ranking rank_plans(const Inputs& inputs, const std::vector<PlannedChoice>& plans,
                   bool keep_programs) {
  Ranking ranking;
  std::vector<PlanResult> results;
  std::map<std::string, Prediction> by_name;
  for (const PlannedChoice& planned : plans) {
    if (!planned.plan) {
      ranking.refused.push_back({describe(planned.choice), planned.note});
      continue;
    }
    Prediction made = predict(inputs, *planned.plan, plans.size() == 1);
    made.note = planned.note;
    if (!keep_programs) made.program = {};
    ranking.stated_error = std::max(ranking.stated_error, made.interval.value_or(0));
    if (made.interval) ranking.estimates = estimate_text(inputs, ranking.stated_error) + "\n";
    results.push_back(result(made));
    by_name[made.plan.name] = std::move(made);
  }
  ranking.ranked = rank(std::move(results), ranking.stated_error);
  for (const RankedResult& each : ranking.ranked) {
    ranking.predictions.push_back(std::move(by_name.at(each.result.name)));
  }
  return ranking;
}

std::string stops_text(const Prediction& prediction) {
  struct Group {
    std::vector<std::string> names;
    Instant last{};
  };
  std::map<std::pair<std::int64_t, std::string>, Group> groups;
  for (std::size_t j = 0; j < prediction.outcome.jobs.size(); ++j) {
    const JobEnd& end = prediction.outcome.jobs[j];
    Group& group = groups[{end.minibatches, end.completed ? "completed" : end.reason}];
    group.names.push_back(prediction.names[j]);
    group.last = std::max(group.last, end.at);
  }
  constexpr std::size_t kNamed = 3;
  TextTable table({"minibatches", "jobs", "last end s", "why", "which"});
  for (const auto& [what, group] : groups) {
    std::string names = group.names.front();
    for (std::size_t i = 1; i < std::min(kNamed, group.names.size()); ++i) {
      names += ", " + group.names[i];
    }
    if (group.names.size() > kNamed)
      names += fmt::format(" and {} more", group.names.size() - kNamed);
    table.row({fmt::format("{}", what.first), fmt::format("{}", group.names.size()),
               fmt::format("{:.3f}", seconds(group.last)), what.second, names});
  }
  return "\n" + table.text();
}

std::string ranking_text(const Ranking& ranking) {
  std::vector<std::string> columns{"rank",
                                   "plan",
                                   ranking.estimates.empty() ? "predicted s" : "estimated s",
                                   "naive s",
                                   "bound s",
                                   "above bound %",
                                   "bound by",
                                   "occupied/busy/useful %",
                                   "moved MiB",
                                   "peak MiB"};
  if (!ranking.predictions.empty()) {  // The cluster is the same for all.
    if (ranking.predictions.front().bill.joules) columns.emplace_back("energy kWh");
    if (ranking.predictions.front().bill.cost) columns.emplace_back("cost");
  }
  TextTable table(columns);
  std::string notes;
  bool ties = false, stops = false;
  for (std::size_t i = 0; i < ranking.ranked.size(); ++i) {
    const RankedResult& each = ranking.ranked[i];
    const Prediction& prediction = ranking.predictions[i];
    table.row(cells(each, prediction));
    if (!prediction.note.empty()) notes += each.result.name + ": " + prediction.note + "\n";
    ties = ties || each.tied;
    stops = stops || prediction.stopped > 0;
  }
  notes += refused_text(ranking.refused);
  if (ties) {
    notes += fmt::format("= tie: within {} of the first of that rank, the stated error\n",
                         format_percent(ranking.stated_error));
  }
  if (stops)
    notes += "naive and bound: of the minibatches that ran before jobs were stopped early\n";
  return table.text() + ranking.estimates + notes;
}

ordered_json ranking_json(const Ranking& ranking) {
  ordered_json json;
  json["stated_error"] = ranking.stated_error;
  json["estimated"] = !ranking.estimates.empty();
  json["plans"] = ordered_json::array();
  for (std::size_t i = 0; i < ranking.ranked.size(); ++i) {
    json["plans"].push_back(plan_json(ranking.ranked[i], ranking.predictions[i]));
  }
  json["refused"] = ordered_json::array();
  for (const auto& [name, reason] : ranking.refused) {
    json["refused"].push_back({{"name", name}, {"reason", reason}});
  }
  return json;
}

}  // namespace shardlab
