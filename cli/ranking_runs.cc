#include "cli/ranking_runs.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/replication.h"
#include "core/error.h"
#include "core/parallel.h"
#include "exec/emulated.h"
#include "policies/planner.h"
#include "policies/registry.h"
#include "report/metrics.h"
#include "report/statistics.h"
#include "sched/link.h"
#include "sim/noise.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

constexpr std::int64_t kReplications = 40;

Prediction prediction(const Inputs& inputs, const std::string& policy, std::uint64_t seed) {
  PlanChoice choice;
  choice.policy = policy;
  choice.slots = kRankingSlots;
  choice.seed = seed;
  const Plan plan = make_plan(inputs.workload, inputs.cluster, inputs.profile, choice);
  return predict(inputs, plan, false);
}

double naive(const Inputs& inputs, const Prediction& predicted, std::uint64_t seed) {
  const Program program = computing_alone(predicted.program);
  const auto policy = make_policy(predicted.plan.policy, program, seed);
  EstimatedCosts costs(program);
  return seconds(
      simulate(program, computing_alone(inputs.cluster), *policy, costs, nullptr).makespan);
}

Noise noise_of(const Inputs& inputs, const Prediction& predicted,
               const EmulationOverhead& overhead) {
  if (!is_emulated(inputs.machine)) {
    return profiled_noise(inputs.workload, inputs.profile, predicted.plan, predicted.program,
                          Layers::kTogether);
  }
  Noise noise;
  noise.units = measured_unit_noise(overhead.timeline);
  return noise;
}

nlohmann::ordered_json optional_json(const std::optional<double>& value) {
  if (!value.has_value()) return nullptr;
  return *value;
}

nlohmann::ordered_json runs_json(const std::vector<Stretch>& stretches) {
  auto all = nlohmann::ordered_json::array();
  for (const Stretch& stretch : stretches) {
    auto runs = nlohmann::ordered_json::array();
    for (const MeasuredRun& run : stretch) {
      runs.push_back({{"policy", run.policy},
                      {"makespan_s", run.makespan_s},
                      {"computing_s", run.computing_s}});
    }
    all.push_back(std::move(runs));
  }
  return all;
}

}  // namespace

PredictedCase predicted_case(const RankingCase& drawn, const RankingRuns& how,
                             const EmulationOverhead& overhead) {
  PredictedCase made{{drawn.workload, with_measured_links(drawn.cluster, drawn.profile),
                      drawn.profile, drawn.cluster},
                     {},
                     {}};
  made.ranked.name = drawn.name;
  in_context(drawn.name, [&] {
    for (const std::string& policy : how.policies) {
      Prediction predicted = prediction(made.inputs, policy, how.seed);
      const std::vector<double> makespans =
          replicate(made.inputs, predicted, noise_of(made.inputs, predicted, overhead), how.seed,
                    kReplications, default_threads())
              .makespan_s;
      made.ranked.predicted_s.push_back(mean_interval(makespans).mean);
      made.ranked.spread_s.push_back(std::sqrt(variance(makespans)));
      made.ranked.naive_s.push_back(naive(made.inputs, predicted, how.seed));
      made.predictions.push_back(std::move(predicted));
    }
  });
  return made;
}

MeasuredRun run_case(const PredictedCase& predicted, std::size_t policy, const RankingRuns& how) {
  const Prediction& prediction = predicted.predictions[policy];
  const Cluster& machine = predicted.inputs.machine;
  const auto made = make_policy(prediction.plan.policy, prediction.program, how.seed);
  RunOptions options;
  options.stop = how.stop;
  std::vector<std::vector<int>> layers;
  for (const JobPlan& job : prediction.plan.jobs) layers.push_back(job.first_layer);
  const RunResult result = in_context(predicted.ranked.name, [&] {
    return is_emulated(machine) ? emulate(prediction.program, machine, *made, options)
                                : how.engine->run(predicted.inputs.workload, machine,
                                                  prediction.program, layers, *made, options);
  });
  for (const JobEnd& end : result.outcome.jobs) {
    if (end.completed || (how.stop != nullptr && how.stop->load())) continue;
    throw Error(predicted.ranked.name + ": a job was stopped: " + end.reason);
  }
  return {policy, seconds(result.timeline.makespan), seconds(metrics(result.timeline).unit_time)};
}

nlohmann::ordered_json case_json(const PredictedCase& predicted,
                                 const std::vector<Stretch>& stretches) {
  const Program program = computing_alone(predicted.predictions.front().program);
  auto jobs = nlohmann::ordered_json::array();
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    auto times = nlohmann::ordered_json::array();
    for (std::size_t c = 0; c < 1 + program.times.size(); ++c) {
      auto units = nlohmann::ordered_json::array();
      for (std::uint32_t u = 0; u < program.jobs[j].units.size(); ++u) {
        units.push_back(times_of(program, c, job_id(j), u).loaded.total.count());
      }
      times.push_back(std::move(units));
    }
    jobs.push_back({{"minibatches", program.jobs[j].minibatches}, {"units_ns", std::move(times)}});
  }
  const RankedCase& ranked = predicted.ranked;
  auto regrets = nlohmann::ordered_json::array();
  for (const Regret& each : ranked.regret) {
    regrets.push_back({each.share, optional_json(each.low), optional_json(each.high)});
  }
  return {{"name", ranked.name},
          {"devices", predicted.inputs.machine.devices.size()},
          {"class_of_device", program.class_of},
          {"jobs", std::move(jobs)},
          {"predicted_s", ranked.predicted_s},
          {"spread_s", ranked.spread_s},
          {"naive_s", ranked.naive_s},
          {"measured_s", ranked.measured_s},
          {"raw_s", ranked.raw_s},
          {"regret", std::move(regrets)},
          {"runs", runs_json(stretches)}};
}

}  // namespace shardlab
