#include "cli/replication.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "report/metrics.h"
#include "report/table.h"
#include "sim/drawn_costs.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

constexpr double kNoneCompleted = -1;

Outcome simulate_once(const Inputs& inputs, const Prediction& prediction, const Noise& noise,
                      std::uint64_t seed, std::int64_t replication, Timeline* timeline) {
  const Program& program = prediction.program;
  EstimatedCosts estimates(program);
  DrawnCosts costs(estimates, program, noise, seed, replication);
  const auto policy =
      make_policy(prediction.plan, program, inputs.cluster.devices.size(), Replay::Times::kIgnored);
  const auto tuner = make_tuner(inputs.workload);
  return simulate(program, inputs.cluster, *policy, costs, timeline, tuner.get());
}

/// A mean and half of its interval, as cells.
void add_cells(std::vector<std::string>& cells, const MeanInterval& interval, double unit,
               int digits) {
  cells.push_back(fmt::format("{:.{}f}", interval.mean * unit, digits));
  cells.push_back(interval.half_width ? fmt::format("{:.{}f}", *interval.half_width * unit, digits)
                                      : "-");
}

void add_row(TextTable& table, std::string name, const std::vector<double>& values, double unit,
             int digits) {
  const Statistics found = statistics(values);
  std::vector<std::string> cells{std::move(name)};
  add_cells(cells, found.mean, unit, digits);
  for (const double value : {found.smallest, found.p5, found.median, found.p95, found.largest}) {
    cells.push_back(fmt::format("{:.{}f}", value * unit, digits));
  }
  table.row(std::move(cells));
}

std::string one_plan_text(const Prediction& prediction, const Replications& made) {
  TextTable table({"", "mean", "±", "min", "5 %", "median", "95 %", "max"});
  const auto add_times = [&](const char* what, const std::vector<double>& times_s) {
    const TimeUnit unit = time_unit(statistics(times_s).largest);
    add_row(table, fmt::format("{} {}", what, unit.name), times_s, unit.per_second, 3);
  };
  add_times("makespan", made.makespan_s);
  if (!made.completion_s.empty()) add_times("mean completion", made.completion_s);
  add_row(table, "occupied %", made.occupied, 100, 1);
  add_row(table, "busy %", made.busy, 100, 1);
  add_row(table, "useful %", made.useful, 100, 1);
  const double mean = mean_interval(made.makespan_s).mean;
  const double without = seconds(prediction.outcome.makespan);
  return table.text() +
         fmt::format(
             "mean makespan against the one without noise: {:+.1f} %; below: replication 1\n",
             without > 0 ? 100 * (mean / without - 1) : 0);
}

/// By mean makespan.
std::string several_plans_text(const Ranking& ranking, const ReplicatedRanking& replicated) {
  std::vector<std::size_t> order(replicated.plans.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return replicated.against[a].difference.mean < replicated.against[b].difference.mean;
  });
  double longest_s = 0;
  for (const Replications& made : replicated.plans) {
    longest_s = std::max(longest_s, statistics(made.makespan_s).p95);
  }
  const TimeUnit unit = time_unit(longest_s);
  const auto in_unit = [&](const char* what) { return fmt::format("{} {}", what, unit.name); };
  TextTable table({"plan", in_unit("mean"), "±", in_unit("5 %"), in_unit("median"), in_unit("95 %"),
                   in_unit("completion"), "±", "busy %", "±", in_unit("above best"), "±",
                   "verdict"});
  for (const std::size_t i : order) {
    const Replications& made = replicated.plans[i];
    const AgainstBest& against = replicated.against[i];
    const Statistics makespan = statistics(made.makespan_s);
    std::vector<std::string> cells{ranking.predictions[i].plan.name};
    add_cells(cells, makespan.mean, unit.per_second, 3);
    for (const double value : {makespan.p5, makespan.median, makespan.p95}) {
      cells.push_back(unit.number(value));
    }
    if (made.completion_s.empty()) {
      cells.insert(cells.end(), {"-", "-"});
    } else {
      add_cells(cells, mean_interval(made.completion_s), unit.per_second, 3);
    }
    add_cells(cells, mean_interval(made.busy), 100, 1);
    add_cells(cells, against.difference, unit.per_second, 3);
    cells.push_back(against.verdict.empty() ? "-" : against.verdict);
    table.row(std::move(cells));
  }
  return table.text() +
         "above best: by differences of the same replication, drawn alike; tie: the 95 % interval "
         "of their mean holds 0\n";
}

ordered_json interval_json(const MeanInterval& interval) {
  ordered_json json{{"mean", interval.mean}, {"half_width", nullptr}};
  if (interval.half_width) json["half_width"] = *interval.half_width;
  return json;
}

ordered_json statistics_json(const std::vector<double>& values) {
  const Statistics found = statistics(values);
  ordered_json json = interval_json(found.mean);
  json.update({{"min", found.smallest},
               {"p5", found.p5},
               {"median", found.median},
               {"p95", found.p95},
               {"max", found.largest}});
  return json;
}

}  // namespace

Replications replicate(const Inputs& inputs, const Prediction& prediction, const Noise& noise,
                       std::uint64_t seed, std::int64_t replications, std::size_t threads) {
  refuse_hours(prediction.program, replications);
  const auto count = static_cast<std::size_t>(replications);
  Replications made;
  for (auto* values :
       {&made.makespan_s, &made.completion_s, &made.occupied, &made.busy, &made.useful}) {
    values->resize(count);
  }
  parallel_for(count, threads, [&](std::size_t r) {
    const Outcome outcome =
        in_context(fmt::format("{}: replication {}", prediction.plan.name, r + 1), [&] {
          return simulate_once(inputs, prediction, noise, seed, static_cast<std::int64_t>(r),
                               nullptr);
        });
    const Utilization found = utilization(outcome);
    made.makespan_s[r] = seconds(outcome.makespan);
    if (without_room(outcome) > without_room(prediction.outcome)) {
      throw Error(fmt::format("{}: replication {}: {}", prediction.plan.name, r + 1,
                              without_room_text(outcome)));
    }
    const auto completion = completion_times(outcome.jobs);
    made.completion_s[r] = completion ? completion->mean : kNoneCompleted;
    made.occupied[r] = found.occupied;
    made.busy[r] = found.busy;
    made.useful[r] = found.useful;
  });
  if (std::ranges::any_of(made.completion_s, [](double s) { return s == kNoneCompleted; })) {
    made.completion_s.clear();
  }
  return made;
}

Replications replicate(const Inputs& inputs, const Prediction& prediction,
                       const NoiseSource& source, std::size_t threads) {
  return replicate(inputs, prediction, source.noise(inputs, prediction.plan, prediction.program),
                   source.seed, source.replications, threads);
}

Timeline first_replication(const Inputs& inputs, const Prediction& prediction,
                           const NoiseSource& source) {
  Timeline timeline;
  if (!fits_timeline(prediction.program)) return timeline;
  const Noise noise = source.noise(inputs, prediction.plan, prediction.program);
  simulate_once(inputs, prediction, noise, source.seed, 0, &timeline);
  timeline.plan = prediction.plan.name;
  return timeline;
}

ReplicatedRanking replicate(const Inputs& inputs, Ranking& ranking, const NoiseSource& source,
                            std::size_t threads) {
  ReplicatedRanking made;
  std::vector<std::vector<double>> makespans;
  for (std::size_t i = 0; i < ranking.predictions.size();) {
    const Prediction& prediction = ranking.predictions[i];
    try {
      made.plans.push_back(replicate(inputs, prediction, source, threads));
      makespans.push_back(made.plans.back().makespan_s);
      ++i;
    } catch (const Error& error) {
      if (ranking.predictions.size() == 1) throw;
      ranking.refuse(i, error.what());
    }
  }
  made.against = against_best(makespans);
  const auto best = std::find_if(made.against.begin(), made.against.end(),
                                 [](const AgainstBest& each) { return each.verdict == "best"; });
  made.best = static_cast<std::size_t>(best - made.against.begin());
  return made;
}

std::string replications_text(const Ranking& ranking, const ReplicatedRanking& replicated,
                              const NoiseSource& source) {
  const std::string what = fmt::format(
      "\n{} replication{} from seed {}: units {}, copies {}; ±: half of the 95 % interval\n",
      source.replications, source.replications == 1 ? "" : "s", source.seed, source.units,
      source.copies);
  return what + (replicated.plans.size() == 1
                     ? one_plan_text(ranking.predictions.front(), replicated.plans.front())
                     : several_plans_text(ranking, replicated));
}

ordered_json noise_json(const NoiseSource& source) {
  return {{"units", source.units},
          {"copies", source.copies},
          {"seed", source.seed},
          {"replications", source.replications}};
}

ordered_json replications_json(const Replications& made, const AgainstBest& against) {
  ordered_json json{
      {"makespan_s", statistics_json(made.makespan_s)},
      {"mean_completion_s",
       made.completion_s.empty() ? ordered_json() : statistics_json(made.completion_s)},
      {"occupied", statistics_json(made.occupied)},
      {"busy", statistics_json(made.busy)},
      {"useful", statistics_json(made.useful)},
      {"above_best_s", interval_json(against.difference)},
      {"verdict", nullptr}};
  if (!against.verdict.empty()) json["verdict"] = against.verdict;
  return json;
}

}  // namespace shardlab
