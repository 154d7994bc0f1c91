#include "cli/inputs.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "exec/emulated.h"
#include "fit/fitted_profile.h"
#include "sched/link.h"
#include "traces/cluster_file.h"
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

/// The costs of a device.
const Profile& costs_of(const Inputs& inputs, const DeviceSpec& device) {
  const auto other = inputs.profile.others.find(device.costs);
  return other == inputs.profile.others.end() ? inputs.profile : *other->second;
}

/// A GPU's costs on CPU devices, or the other way round; empty: neither, as far as anybody says.
std::string other_kind(const Inputs& inputs) {
  for (const DeviceSpec& device : inputs.cluster.devices) {
    if (device.kind != "cpu" && device.kind != "cuda") continue;
    const Profile& costs = costs_of(inputs, device);
    const std::optional<bool> gpu = of_accelerator(costs.provenance);
    if (!gpu || *gpu == (device.kind == "cuda")) continue;
    return fmt::format("{}: is of \"{}\", a {}, but {} of the cluster is of kind \"{}\"{}",
                       costs.path, costs.provenance.device, *gpu ? "GPU" : "CPU", device.name,
                       device.kind, *gpu ? " (write kind = \"cuda\" for a GPU)" : "");
  }
  return "";
}

/// What the first device is that its profile is not of; empty: all are as the cluster says.
std::string other_device(const Inputs& inputs) {
  for (const DeviceSpec& device : inputs.cluster.devices) {
    const Profile& costs = costs_of(inputs, device);
    const std::string& measured = costs.provenance.device;
    if (device.model.empty() || contains(measured, device.model)) continue;
    return fmt::format("{}: is of \"{}\", but {} of the cluster is a \"{}\"", costs.path, measured,
                       device.name, device.model);
  }
  return other_kind(inputs);
}

void refuse_other_devices(const Inputs& inputs) {
  const std::string other = other_device(inputs);
  if (other.empty() || inputs.accepted.device) return;
  throw Error(
      other +
      "; profile there, estimate it with shardlab fit --device, or --accept-profile device");
}

/// All at once: of the host, and of the models that the jobs train.
void refuse_missing_costs(const Inputs& inputs) {
  const auto of = [&](const Profile& profile) {
    std::vector<const ModelProfile*> entries;
    for (const Job& job : inputs.workload.jobs) {
      const auto* entry = find_entry(profile, job.model, job.batch, job.optimizer.kind);
      if (entry == nullptr || std::ranges::find(entries, entry) != entries.end()) continue;
      entries.push_back(entry);
    }
    return entries;
  };
  refuse_missing(inputs.profile, of(inputs.profile), host_costs_of(inputs.cluster));
  for (const auto& [name, other] : inputs.profile.others) refuse_missing(*other, of(*other), {});
}

/// A job that says in what its imported model computed means a profile of that.
void refuse_other_precision(const Inputs& inputs, const Job& job) {
  if (!job.imported_precision || inputs.accepted.precision) return;
  for (const ModelProfile& each : inputs.profile.models) {
    if (each.model != job.model || each.imported_precision == job.imported_precision) continue;
    throw Error(fmt::format(
        "{}: {}: {} {}, {} says precision = \"{}\"; take a profile of that, or --accept-profile "
        "precision",
        inputs.profile.path, job.name, describe(job.model),
        each.imported_precision
            ? "was computed in " + to_string(*each.imported_precision)
            : "does not say in what it was computed (shardlab import --precision says it)",
        job.name, to_string(*job.imported_precision)));
  }
}

}  // namespace

Inputs read_inputs(const InputPaths& paths) {
  Inputs inputs{read_workload(paths.workload), read_cluster(paths.cluster), {}, {}};
  inputs.accepted = accepted(paths.accept);
  inputs.profile = read_profiles(paths.profiles, inputs.workload, inputs.accepted);
  refuse_other_devices(inputs);
  refuse_missing_costs(inputs);
  inputs.machine = inputs.cluster;
  inputs.cluster = with_measured_links(std::move(inputs.cluster), inputs.profile);
  // Copies of emulated devices take nothing by themselves, so all their links are paced.
  if (is_emulated(inputs.machine)) inputs.machine = inputs.cluster;
  for (const Job& job : inputs.workload.jobs) {
    in_context(job.name,
               [&] { refuse_unknown(inputs.profile, job.model, job.batch, job.optimizer.kind); });
    refuse_other_precision(inputs, job);
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

/// What was noted of costs as they were measured, imported or filled: one warning, as an import has
/// a note for each cost that the user set.
std::vector<std::string> notes_of(const Profile& profile) {
  const std::vector<std::string>& notes = profile.provenance.notes;
  if (notes.empty()) return {};
  return {fmt::format("the profile {} notes: {}", profile.path, fmt::join(notes, "; "))};
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
        "the profile may lack a precision: costs of another are then taken as they are, and may "
        "be off by a factor of 16");
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

}  // namespace shardlab
