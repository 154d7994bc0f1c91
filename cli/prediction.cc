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
#include "report/table.h"
#include "sched/lower.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

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
  const auto tuner = make_tuner(inputs.workload, inputs.decisions);
  const bool keeps = with_timeline || plan.policy == kReplay;  // To hold against its order.
  made.outcome =
      simulate(made.program, inputs.cluster, *policy, costs,
               keeps && fits_timeline(made.program) ? &made.timeline : nullptr, tuner.get());
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

std::size_t without_room(const Outcome& outcome) {
  return static_cast<std::size_t>(std::ranges::count(outcome.jobs, kNoRoomLeft, &JobEnd::reason));
}

std::string without_room_text(const Outcome& outcome) {
  return fmt::format("{} of {} jobs do not end: {}", without_room(outcome), outcome.jobs.size(),
                     kNoRoomLeft);
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

}  // namespace shardlab
