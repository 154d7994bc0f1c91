#include "cli/inputs.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/registry.h"
#include "sched/link.h"
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
                 "costs, as written by shardlab profile; NAME=FILE for devices with that name of "
                 "costs")
      ->required()
      ->allow_extra_args(false);
}

namespace {

/// The one without a name, and with it those that have one.
Profile read_profiles(const std::vector<std::string>& given) {
  std::optional<Profile> profile;
  std::map<std::string, std::shared_ptr<const Profile>> others;
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    const bool named = equals != std::string::npos && each.find('/') > equals;
    if (named) {
      const std::string name = each.substr(0, equals);
      others[name] = std::make_shared<const Profile>(read_profile(each.substr(equals + 1)));
    } else if (profile) {
      throw UsageError("two profiles without a name; give the others as NAME=FILE");
    } else {
      profile = read_profile(each);
    }
  }
  if (!profile) throw UsageError("no profile without a name; give one with -p FILE");
  profile->others = std::move(others);
  return std::move(*profile);
}

}  // namespace

Inputs read_inputs(const InputPaths& paths) {
  Inputs inputs{read_workload(paths.workload),
                read_cluster(paths.cluster),
                read_profiles(paths.profiles),
                {}};
  inputs.machine = inputs.cluster;
  inputs.cluster = with_measured_links(std::move(inputs.cluster), inputs.profile);
  for (const Job& job : inputs.workload.jobs) {
    in_context(job.name,
               [&] { refuse_unknown(inputs.profile, job.model, job.batch, job.optimizer.kind); });
  }
  return inputs;
}

void refuse_early_stops(const Workload& workload, const std::string& path, std::string_view verb) {
  if (!stops_early(workload)) return;
  throw Error(
      fmt::format("{}: {} cannot stop jobs early yet, only simulate and sweep can; take {} out",
                  path, verb, workload.early_stop ? "[early_stop]" : "stop_after"));
}

std::vector<std::string> profile_warnings(const Inputs& inputs, const std::string& processor) {
  const Provenance& from = inputs.profile.provenance;
  std::vector<std::string> warnings;
  if (!processor.empty() && from.device != processor) {
    warnings.push_back(
        fmt::format("the profile was measured on \"{}\", this is \"{}\"", from.device, processor));
  }
  const auto devices = static_cast<int>(inputs.cluster.devices.size());
  if (devices > 1 && from.lanes != devices) {
    warnings.push_back(fmt::format(
        "the profile was measured with {} lanes busy, the cluster has {}", from.lanes, devices));
  }
  for (const DeviceSpec& device : inputs.cluster.devices) {
    if (device.threads == from.threads_per_lane) continue;
    warnings.push_back(fmt::format("the profile was measured with {} threads per lane, {} has {}",
                                   from.threads_per_lane, device.name, device.threads));
    break;
  }
  return warnings;
}

void add_plan_options(CLI::App& app, PlanOptions& options) {
  app.add_option(
         "--strategy", options.strategy,
         "how a job is laid out: spill, resident, model_parallel, gpipe(STAGES,MICROBATCHES), "
         "one_f_one_b(..), interleaved(..,SHARDS_PER_DEVICE), zero_offload(DEVICES), "
         "data_parallel(REPLICAS,any of them) (spill)")
      ->check(strategies());
  app.add_option("--policy", options.policy,
                 "which ready unit a free device takes: one of those below, or the path of a "
                 "shared object (lrtf)")
      ->check(policies());
  app.add_option("--slots", options.slots,
                 "units claimed at once per device: 1, or 2 with double buffering (2)")
      ->check(CLI::Range(1, 16));
  app.add_option("--admit", options.admit, "jobs that run at once, 0 for all (0)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--keep-activations", options.keep,
               "keep activations instead of recomputing them (model_parallel)");
  app.add_option("--seed", options.seed, "of policies that draw (1)");
  app.add_option("--plan", options.plan, "a plan file, instead of the options above");
}

CLI::Validator policies() {
  const auto check = [](const std::string& name) -> std::string {
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

std::vector<PlannedChoice> planned(const Inputs& inputs, const PlanOptions& options) {
  if (!options.plan.empty()) {
    if (!options.strategy.empty() || !options.policy.empty() || options.slots || options.admit ||
        options.keep || options.seed) {
      throw UsageError("--plan already says strategy, policy, slots, admit, activations and seed");
    }
    return {PlannedChoice{{}, read_plan(options.plan), {}}};
  }
  PlanChoice choice;
  choice.slots = options.slots.value_or(choice.slots);
  choice.seed = options.seed.value_or(choice.seed);
  if (!options.one()) {
    return make_plans(inputs.workload, inputs.cluster, inputs.profile,
                      usual_choices(choice.slots, choice.seed));
  }
  if (!options.strategy.empty()) choice.strategy = parse_strategy_choice(options.strategy);
  if (!options.policy.empty()) choice.policy = options.policy;
  choice.admit = options.admit.value_or(0);
  choice.recompute = !options.keep;
  return make_plans(inputs.workload, inputs.cluster, inputs.profile, {choice});
}

}  // namespace shardlab
