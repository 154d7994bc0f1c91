#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/cluster.h"
#include "core/decision.h"
#include "core/profile.h"
#include "core/workload.h"
#include "fit/accepted.h"

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

}  // namespace shardlab
