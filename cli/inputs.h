#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/cluster.h"
#include "core/decision.h"
#include "core/error.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "fit/accepted.h"
#include "policies/planner.h"

namespace shardlab {

/// The files that most verbs read.
struct InputPaths {
  std::string workload, cluster;
  std::vector<std::string> profiles;  ///< As given: the profile, and NAME=FILE of others.
  std::vector<std::string> accept;    ///< See add_accept_option().
};

void add_workload_and_cluster(CLI::App& app, InputPaths& paths);
/// Profiles, and what to accept of them.
void add_profile_file(CLI::App& app, InputPaths& paths);
void add_accept_option(CLI::App& app, std::vector<std::string>& accept);
Accepted accepted(const std::vector<std::string>& accept);

struct Inputs {
  Workload workload;
  Cluster cluster;  ///< As simulated: with the profile's links where the file has none.
  Profile profile;
  Cluster machine;  ///< As in the file: what a run is paced by.
  Accepted accepted = {};
  /// Of a search that stops jobs early, in the run that goes on: one that begins has none.
  std::vector<Decision> decisions = {};
};

/// Several profiles without a name are one, and so are those of one name; microbatches that they
/// lack are estimated, see complete(). Throws Error naming the file; also when the profile lacks a
/// model of the workload, or is not of the devices that the cluster names.
Inputs read_inputs(const InputPaths& paths);

/// Throws Error when jobs of the workload stop early, which `verb` cannot do: never silently.
void refuse_early_stops(const Workload& workload, const std::string& path, std::string_view verb);

/// Throws Error when the profile is of another device or LibTorch than the one that will run, and
/// that is not accepted. `device` is empty where it is not known.
void refuse_other_machine(const Inputs& inputs, const std::string& device,
                          const std::string& libtorch);

/// What one should know before trusting the profile on this cluster; empty when nothing.
/// `processor` is this machine's, or empty when that does not matter.
std::vector<std::string> profile_warnings(const Inputs& inputs, const std::string& processor);

/// Which plan is meant: by its properties, or a file.
struct PlanOptions {
  std::string strategy, policy, plan, partition;
  std::string step;  ///< Where optimizers step; of all plans, if several are meant.
  std::optional<int> slots, admit;
  bool keep = false;
  std::optional<std::uint64_t> seed;
  std::optional<double> search_s;  ///< Of policy search.
  std::optional<std::int64_t> search_evaluations;

  /// One plan is meant, not all the usual ones.
  [[nodiscard]] bool one() const {
    return !strategy.empty() || !policy.empty() || admit || keep || !plan.empty() ||
           !partition.empty();
  }
};

/// `search`: also `--policy search`; see cli/order_search.h.
void add_plan_options(CLI::App& app, PlanOptions& options, bool search = false);

/// Of an option that takes a policy; `search`: or the one that is searched for.
CLI::Validator policies(bool search = false);

/// Of an option that takes strategies, separated by commas.
CLI::Validator strategies();

/// What the plan file of `options`, if there is one, has to do with an Error that leaves `body`.
template <typename Body>
auto in_plan(const PlanOptions& options, Body&& body) -> decltype(body()) {
  if (options.plan.empty()) return std::forward<Body>(body)();
  return in_context(options.plan, std::forward<Body>(body));
}

/// The plan read from a file, or made of the properties; the usual ones where none are given.
/// Throws UsageError when a file and properties are both given.
std::vector<PlannedChoice> planned(const Inputs& inputs, const PlanOptions& options);

}  // namespace shardlab
