#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "policies/planner.h"

namespace shardlab {

/// The files that most verbs read.
struct InputPaths {
  std::string workload, cluster;
  std::vector<std::string> profiles;  ///< As given: the profile, and NAME=FILE of others.
};

void add_workload_and_cluster(CLI::App& app, InputPaths& paths);
void add_profile_file(CLI::App& app, InputPaths& paths);

struct Inputs {
  Workload workload;
  Cluster cluster;  ///< As simulated: with the profile's links where the file has none.
  Profile profile;
  Cluster machine;  ///< As in the file: what a run is paced by.
};

/// Throws Error naming the file; also when the profile lacks a model of the workload.
Inputs read_inputs(const InputPaths& paths);

/// Throws Error when jobs of the workload stop early, which `verb` cannot do: never silently.
void refuse_early_stops(const Workload& workload, const std::string& path, std::string_view verb);

/// What one should know before trusting the profile on this cluster; empty when nothing.
/// `processor` is this machine's, or empty when that does not matter.
std::vector<std::string> profile_warnings(const Inputs& inputs, const std::string& processor);

/// Which plan is meant: by its properties, or a file.
struct PlanOptions {
  std::string strategy, policy, plan;
  std::optional<int> slots, admit;
  bool keep = false;
  std::optional<std::uint64_t> seed;

  /// One plan is meant, not all the usual ones.
  [[nodiscard]] bool one() const {
    return !strategy.empty() || !policy.empty() || admit || keep || !plan.empty();
  }
};

void add_plan_options(CLI::App& app, PlanOptions& options);

/// Of an option that takes a policy.
CLI::Validator policies();

/// Of an option that takes strategies, separated by commas.
CLI::Validator strategies();

/// The plan read from a file, or made of the properties; the usual ones where none are given.
/// Throws UsageError when a file and properties are both given.
std::vector<PlannedChoice> planned(const Inputs& inputs, const PlanOptions& options);

}  // namespace shardlab
