#include "cli/inputs.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "cli/checks.h"
#include "cli/interrupt.h"
#include "cli/order_search.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "exec/emulated.h"
#include "fit/fitted_profile.h"
#include "planning/partition_search.h"
#include "planning/search.h"
#include "policies/plan_order.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/link.h"
#include "sched/lower.h"
#include "traces/cluster_file.h"
#include "traces/plan_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {

void add_workload_and_cluster(CLI::App& app, InputPaths& paths) {
  app.add_option("WORKLOAD", paths.workload, "which models to train: a TOML or CSV file")
      ->required();
  app.add_option("CLUSTER", paths.cluster, "what to train them on: a TOML file")->required();
}

void add_profile_file(CLI::App& app, InputPaths& paths) {
  app.add_option("-p,--profile", paths.profiles,
                 "costs, as written by shardlab profile or fit; again for more batches; NAME=FILE "
                 "for devices with that name of costs")
      ->required()
      ->allow_extra_args(false);
  add_accept_option(app, paths.accept);
}

void add_accept_option(CLI::App& app, std::vector<std::string>& accept) {
  app.add_option("--accept-profile", accept,
                 "use a profile although it is of another batch, device, precision or library: "
                 "list")
      ->delimiter(',')
      ->check(CLI::IsMember({"batch", "device", "precision", "library"}));
}

Accepted accepted(const std::vector<std::string>& accept) {
  const auto has = [&](const char* what) {
    return std::ranges::find(accept, what) != accept.end();
  };
  return {has("batch"), has("device"), has("precision"), has("library")};
}

namespace {

/// Those without a name, and with them those that have one.
Profile read_profiles(const std::vector<std::string>& given, const Workload& workload,
                      const Accepted& accepted) {
  std::map<std::string, std::vector<Profile>> by_name;
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    const bool named = equals != std::string::npos && each.find('/') > equals;
    if (named) {
      by_name[each.substr(0, equals)].push_back(read_profile(each.substr(equals + 1)));
    } else {
      by_name[""].push_back(read_profile(each));
    }
  }
  if (!by_name.contains("")) throw UsageError("no profile without a name; give one with -p FILE");
  std::map<std::string, std::shared_ptr<const Profile>> all;
  for (auto& [name, profiles] : by_name) {
    Profile whole = merged(std::move(profiles), accepted);
    complete(whole, workload, accepted);
    all[name] = std::make_shared<const Profile>(std::move(whole));
  }
  Profile profile = *all.at("");
  all.erase("");
  profile.others = std::move(all);
  return profile;
}

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  };
  return std::ranges::search(text, part, same).begin() != text.end();
}

/// What the first device is that its profile is not of; empty: all are as the cluster says.
std::string other_device(const Inputs& inputs) {
  for (const DeviceSpec& device : inputs.cluster.devices) {
    const auto other = inputs.profile.others.find(device.costs);
    const Profile& costs = other == inputs.profile.others.end() ? inputs.profile : *other->second;
    const std::string& measured = costs.provenance.device;
    if (device.model.empty() || contains(measured, device.model)) continue;
    return fmt::format("{}: is of \"{}\", but {} of the cluster is a \"{}\"", costs.path, measured,
                       device.name, device.model);
  }
  return "";
}

void refuse_other_devices(const Inputs& inputs) {
  const std::string other = other_device(inputs);
  if (other.empty() || inputs.accepted.device) return;
  throw Error(
      other +
      "; profile there, estimate it with shardlab fit --device, or --accept-profile device");
}

}  // namespace

Inputs read_inputs(const InputPaths& paths) {
  Inputs inputs{read_workload(paths.workload), read_cluster(paths.cluster), {}, {}};
  inputs.accepted = accepted(paths.accept);
  inputs.profile = read_profiles(paths.profiles, inputs.workload, inputs.accepted);
  refuse_other_devices(inputs);
  inputs.machine = inputs.cluster;
  inputs.cluster = with_measured_links(std::move(inputs.cluster), inputs.profile);
  // Copies of emulated devices take nothing by themselves, so all their links are paced.
  if (is_emulated(inputs.machine)) inputs.machine = inputs.cluster;
  for (const Job& job : inputs.workload.jobs) {
    in_context(job.name,
               [&] { refuse_unknown(inputs.profile, job.model, job.batch, job.optimizer.kind); });
  }
  return inputs;
}

void refuse_early_stops(const Workload& workload, const std::string& path, std::string_view verb) {
  if (!stops_early(workload)) return;
  throw Error(fmt::format(
      "{}: {} cannot stop jobs early yet, only simulate, sweep and run can; take {} out", path,
      verb, workload.early_stop ? "[early_stop]" : "stop_after"));
}

void refuse_other_machine(const Inputs& inputs, const std::string& device,
                          const std::string& libtorch) {
  const Provenance& from = inputs.profile.provenance;
  if (!device.empty() && from.device != device && !inputs.accepted.device) {
    throw Error(
        fmt::format("{}: is of \"{}\", this is \"{}\"; profile here, or --accept-profile device",
                    inputs.profile.path, from.device, device));
  }
  if (from.libtorch != libtorch && !inputs.accepted.library) {
    throw Error(fmt::format(
        "{}: was taken with LibTorch {}, this is {}; profile again, or --accept-profile library",
        inputs.profile.path, from.libtorch, libtorch));
  }
}

namespace {

/// What was noted of costs as they were measured, imported or filled.
std::vector<std::string> notes_of(const Profile& profile) {
  std::vector<std::string> notes;
  for (const std::string& each : profile.provenance.notes) {
    notes.push_back(fmt::format("the profile {} notes: {}", profile.path, each));
  }
  return notes;
}

}  // namespace

std::vector<std::string> profile_warnings(const Inputs& inputs, const std::string& processor) {
  const Provenance& from = inputs.profile.provenance;
  std::vector<std::string> warnings = notes_of(inputs.profile);
  for (const auto& [name, other] : inputs.profile.others) {
    std::ranges::move(notes_of(*other), std::back_inserter(warnings));
  }
  if (!processor.empty() && from.device != processor) {
    warnings.push_back(
        fmt::format("the profile was measured on \"{}\", this is \"{}\"", from.device, processor));
  }
  if (const std::string other = other_device(inputs); !other.empty()) {
    warnings.push_back("the profile " + other);
  }
  if (inputs.accepted.precision) {
    warnings.emplace_back(
        "the profile may lack a precision: costs of another are then taken as they are");
  }
  const auto devices = static_cast<int>(inputs.cluster.devices.size());
  if (devices > 1 && from.lanes != devices) {
    warnings.push_back(
        fmt::format("the profile was measured with {} lane{} busy, the cluster has {}", from.lanes,
                    from.lanes == 1 ? "" : "s", devices));
  }
  for (const DeviceSpec& device : inputs.cluster.devices) {
    if (device.threads == from.threads_per_lane) continue;
    warnings.push_back(fmt::format("the profile was measured with {} threads per lane, {} has {}",
                                   from.threads_per_lane, device.name, device.threads));
    break;
  }
  return warnings;
}

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
  const auto check = [search](const std::string& name) -> std::string {
    if (search && name == kSearchPolicy) return "";
    try {
      make_policy(name, 1, 1);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  return {check, "", "policies"};
}

CLI::Validator strategies() {
  const auto check = [](const std::string& text) -> std::string {
    try {
      parse_strategy_choices(text);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  return {check, "", "strategies"};
}

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
