#include "cli/order_search.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/checks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/prediction.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "planning/search.h"
#include "policies/replay.h"
#include "policies/tuners.h"
#include "sched/lower.h"

namespace shardlab {
namespace {

constexpr double kUsualTime = 10;  // Seconds.

/// The minibatches after which each job ends, where its tuner's goals are not for it to change.
std::vector<std::int64_t> stops(const Workload& workload, const Tuner& tuner) {
  std::vector<std::int64_t> runs;
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    runs.push_back(std::min(tuner.goal(job_id(j)), workload.jobs[j].minibatches));
  }
  return runs;
}

std::string found_text(const SearchedOrder& found) {
  const auto& [evaluations, sharp, policy, bound, proved_optimal] = found.summary;
  const double began = seconds(sharp), best = seconds(found.makespan());
  std::string text = fmt::format(
      "the best of {} simulated run{}, {:.2f} % shorter than sharp's {:.3f} s", evaluations,
      evaluations == 1 ? "" : "s", began > 0 ? 100 * (began - best) / began : 0, began);
  if (policy != "sharp") text += fmt::format(", first found under {}", policy);
  if (proved_optimal) text += "; none is shorter";
  return text;
}

}  // namespace

void add_search_options(CLI::App& app, PlanOptions& options) {
  app.add_option("--search-seconds", options.search_s,
                 "how long --policy search searches at most: 10s, 2min, 1h (10s, or as long as "
                 "--search-evaluations takes)")
      ->transform(in_seconds())
      ->check(positive());
  app.add_option("--search-evaluations", options.search_evaluations,
                 "runs that --policy search simulates at most: the same number gives the same plan")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
}

void refuse_order_of_leaving(const Cluster& cluster, const std::string& what) {
  for (const DeviceSpec& device : cluster.devices) {
    if (device.leaves.empty()) continue;
    throw Error(fmt::format(
        "{}: an order of units is one for devices that stay, and {} leaves; take its leaves and "
        "returns out, or take another policy",
        what, device.name));
  }
}

void search_order(const Inputs& inputs, const PlanOptions& options, PlannedChoice& choice) {
  refuse_order_of_leaving(inputs.cluster, "policy search");
  using Clock = std::chrono::steady_clock;
  Plan& plan = *choice.plan;
  const Program program = lower(inputs.workload, inputs.cluster, inputs.profile, plan);
  if (!fits_timeline(program)) {
    throw Error(fmt::format(
        "policy search keeps every unit of a run, at most {}; give fewer minibatches", kMostSpans));
  }
  OrderSearch how;
  how.seed = plan.seed;
  how.evaluations = options.search_evaluations.value_or(INT64_MAX);
  if (const auto tuner = make_tuner(inputs.workload)) {
    how.tuner = [&] { return make_tuner(inputs.workload); };
    if (!inputs.workload.early_stop) how.runs = stops(inputs.workload, *tuner);
  }
  const bool timed = options.search_s || !options.search_evaluations;
  const auto end =
      Clock::now() + std::chrono::duration<double>(options.search_s.value_or(kUsualTime));
  ProgressLine line;
  const Interrupt interrupt;
  const SearchProgress progress = [&](std::int64_t evaluations, Duration best) {
    line.update(fmt::format("{} run{} simulated, best {:.3f} s", evaluations,
                            evaluations == 1 ? "" : "s", seconds(best)));
    return !interrupt.stop() && !choice.interrupted && (!timed || Clock::now() < end);
  };
  const SearchedOrder found = search_order(program, inputs.cluster, how, progress);
  choice.interrupted = choice.interrupted || interrupt.stop();
  choice.note = found_text(found) + (choice.interrupted ? "; interrupted" : "");
  choice.search = found.summary;
  plan = replaying(std::move(plan), found.timeline);
}

}  // namespace shardlab
