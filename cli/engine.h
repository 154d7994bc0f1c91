#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "core/workload.h"
#include "exec/executor.h"
#include "profiler/link_bench.h"
#include "profiler/profile.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// What needs LibTorch, behind an interface: it lies in a module that a verb loads when it trains
/// or measures, so that the others start in milliseconds.
class Engine {
 public:
  virtual ~Engine() = default;

  /// See profiler/profile.h.
  virtual Profile profile(const Workload& workload, const Cluster& cluster,
                          const ProfileOptions& options, const Progress& progress) = 0;
  virtual void add_records(const Workload& workload, const Cluster& cluster, Profile& profile,
                           const Progress& progress) = 0;
  /// See exec/executor.h.
  virtual RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
                        const std::vector<std::vector<int>>& first_layers, Policy& policy,
                        const RunOptions& options) = 0;
  /// A fixed amount of work on all lanes of the cluster at once, the mean over them: what changes
  /// from call to call is the machine.
  virtual Duration fixed_work(const Cluster& cluster) = 0;

  /// See profiler/link_bench.h.
  virtual LinkReport links(const Cluster& cluster, const LinkOptions& options) = 0;

  [[nodiscard]] virtual std::string libtorch() const = 0;  ///< Version.
};

/// Raised whenever anything that crosses the border changes: the command refuses another build's
/// module.
constexpr int kEngineVersion = 8;
/// The module exports this: `Engine* shardlab_engine(int version)`, null for another version.
constexpr const char* kEngineFactory = "shardlab_engine";

/// Where the command itself lies. Throws Error where /proc does not say.
std::filesystem::path command_folder();

/// profiles/devices.toml of the repository that the command was built in. Throws Error where it is
/// not there.
std::string data_sheets();

/// Loads the module that lies beside the command. Throws Error that says what is missing and what
/// to do.
std::unique_ptr<Engine> load_engine();

}  // namespace shardlab
