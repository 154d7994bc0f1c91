#include "cli/plan_options.h"

#include <type_traits>

#include <fmt/format.h>

#include "cli/checks.h"
#include "cli/interrupt.h"
#include "cli/order_search.h"
#include "cli/terminal.h"
#include "planning/partition_search.h"
#include "planning/search.h"
#include "policies/plan_order.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "traces/plan_file.h"

namespace shardlab {

void add_plan_options(CLI::App& app, PlanOptions& options, bool search) {
  app.add_option(
         "--strategy", options.strategy,
         "how a job is laid out: spill, resident, model_parallel, gpipe(STAGES,MICROBATCHES), "
         "one_f_one_b(..), interleaved(..,SHARDS_PER_DEVICE), zero_offload(DEVICES), "
         "data_parallel(REPLICAS,any of them) (spill)")
      ->check(strategies());
  app.add_option("--policy", options.policy,
                 "which ready unit a free device takes: one of those below, or the path of a "
                 "shared object (lrtf)")
      ->check(policies(search));
  app.add_option("--slots", options.slots,
                 "units claimed at once per device: 1, or 2 with double buffering (2)")
      ->check(CLI::Range(1, 16));
  app.add_option("--admit", options.admit, "jobs that run at once, 0 for all (0)")
      ->check(non_negative());
  app.add_flag("--keep-activations", options.keep,
               "keep activations instead of recomputing them (model_parallel)");
  app.add_option("--step", options.step,
                 "where optimizers step: device, host (spill, resident and model_parallel, once "
                 "the gradient has come there), or cheaper: by the profile, shard by shard "
                 "(cheaper)")
      ->check(CLI::IsMember({"device", "host", "cheaper"}));
  app.add_option("--partition", options.partition,
                 "how jobs that spill are cut: greedy (as few shards as fit), balanced (as many, "
                 "the longest as short as can be), search (by simulated makespan) (greedy)")
      ->check(CLI::IsMember({"greedy", "balanced", "search"}));
  app.add_option("--seed", options.seed, "of policies that draw (1)")->check(non_negative());
  app.add_option("--plan", options.plan, "a plan file, instead of the options above");
  if (search) add_search_options(app, options);
}

CLI::Validator policies(bool search) {
  const auto parse = [search](const std::string& name) {
    if (!search || name != kSearchPolicy) make_policy(name, 1, 1);
  };
  return parsed_by(parse, "policies");
}

CLI::Validator strategies() { return parsed_by(parse_strategy_choices, "strategies"); }

namespace {

/// Enough to try some numbers of shards and to move cuts; seconds for usual workloads.
constexpr std::int64_t kCutsTried = 200;

void search_cuts(const Inputs& inputs, PlannedChoice& choice) {
  Evaluator evaluator(inputs.workload, inputs.cluster, inputs.profile);
  ProgressLine line;
  const Interrupt interrupt;
  choice.plan = search_partition(evaluator, *choice.plan, kCutsTried, choice.choice.seed,
                                 [&](std::int64_t evaluations, Duration best) {
                                   line.update(
                                       fmt::format("{} of {} partitions simulated, best "
                                                   "{:.3f} s",
                                                   evaluations, kCutsTried, seconds(best)));
                                   return !interrupt.stop();
                                 });
  choice.interrupted = interrupt.stop();
  if (choice.interrupted) choice.note = "the search for cuts was interrupted";
  choice.plan->name += "/searched";
}

}  // namespace

void PlanOptions::fill_in(const PlanOptions& from) {
  const auto take = [](auto& to, const auto& its) {
    if (to == std::decay_t<decltype(to)>{}) to = its;
  };
  take(step, from.step);
  if (!plan.empty()) return;
  if (!from.plan.empty() && (one() || slots || seed)) {
    throw UsageError("the run that goes on has the plan of " + from.plan +
                     "; give another by --plan, or no option of a plan");
  }
  plan = from.plan;
  take(strategy, from.strategy);
  take(policy, from.policy);
  take(partition, from.partition);
  take(slots, from.slots);
  take(admit, from.admit);
  take(keep, from.keep);
  take(seed, from.seed);
  take(search_s, from.search_s);
  take(search_evaluations, from.search_evaluations);
}

std::vector<PlannedChoice> planned(const Inputs& inputs, const PlanOptions& options) {
  if (!options.plan.empty()) {
    if (!options.strategy.empty() || !options.policy.empty() || options.slots || options.admit ||
        options.keep || options.seed || !options.partition.empty() || !options.step.empty()) {
      throw UsageError(
          "--plan already says strategy, policy, slots, admit, activations, partition, step and "
          "seed");
    }
    Plan plan = read_plan(options.plan);
    if (plan.policy == kReplay) {
      in_context(options.plan, [&] {
        const Program program = lower(inputs.workload, inputs.cluster, inputs.profile, plan);
        refuse_wrong_order(plan, program, inputs.cluster, stops_early(inputs.workload));
        refuse_what_cannot_fit(program, inputs.cluster);
      });
    }
    return {PlannedChoice{{}, std::move(plan), {}}};
  }
  const bool searches = options.policy == kSearchPolicy;
  if (!searches && (options.search_s || options.search_evaluations)) {
    throw UsageError("--search-seconds and --search-evaluations are of --policy search");
  }
  PlanChoice choice;
  choice.slots = options.slots.value_or(choice.slots);
  choice.seed = options.seed.value_or(choice.seed);
  if (!options.step.empty()) choice.step = parse_step_place(options.step);
  if (!options.one()) {
    std::vector<PlanChoice> usual = usual_choices(choice.slots, choice.seed);
    for (PlanChoice& each : usual) each.step = choice.step;
    return make_plans(inputs.workload, inputs.cluster, inputs.profile, usual);
  }
  if (!options.strategy.empty()) choice.strategy = parse_strategy_choice(options.strategy);
  if (!options.policy.empty()) choice.policy = searches ? "sharp" : options.policy;
  choice.admit = options.admit.value_or(0);
  choice.recompute = !options.keep;
  if (!options.partition.empty() && choice.strategy.strategy != Strategy::kSpill) {
    throw UsageError("--partition is of spill; shards of all other strategies are balanced");
  }
  if (options.partition == "balanced") choice.partitioner = Partitioner::kBalanced;
  auto made = make_plans(inputs.workload, inputs.cluster, inputs.profile, {choice});
  if (options.partition == "search") search_cuts(inputs, made.front());
  if (searches) {
    choice.policy = kSearchPolicy;
    made.front().plan->name = describe(choice) + (options.partition == "search" ? "/searched" : "");
    search_order(inputs, options, made.front());
  }
  return made;
}

}  // namespace shardlab
