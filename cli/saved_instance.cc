#include "cli/saved_instance.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "cli/output.h"
#include "core/error.h"
#include "study/instance.h"
#include "study/study.h"
#include "traces/atomic_file.h"
#include "traces/cluster_file.h"
#include "traces/plan_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

/// "policies/homogeneous/mixed/none/2,7".
struct NamedInstance {
  std::string grid, setting;
  std::int64_t number = 0;
};

NamedInstance named_instance(const std::string& text) {
  const std::size_t slash = text.find('/'), comma = text.rfind(',');
  NamedInstance named;
  try {
    if (slash == std::string::npos || comma == std::string::npos || comma < slash) throw Error("");
    std::size_t read = 0;
    named.number = std::stoll(text.substr(comma + 1), &read);
    if (read != text.size() - comma - 1 || named.number < 1) throw Error("");
  } catch (const std::exception&) {
    throw UsageError(text + ": give GRID/SETTING,NUMBER, for example " +
                     "\"policies/homogeneous/mixed/shared 0.5/2,1\"");
  }
  named.grid = text.substr(0, slash);
  named.setting = text.substr(slash + 1, comma - slash - 1);
  return named;
}

void write_instance(StudyInstance instance, const StudyGrid& grid, std::uint64_t seed,
                    const std::string& folder) {
  make_folder(folder);
  const auto file = [&](const std::string& name) {
    return (std::filesystem::path(folder) / name).string();
  };
  write_file_atomically(file("workload.toml"), workload_toml(instance.workload));
  write_file_atomically(file("cluster.toml"), cluster_toml(instance.cluster));
  write_profile(file("profile.json"), instance.profile);
  instance.plan.seed = seed;
  for (const std::string& policy : policies_of(grid)) {
    instance.plan.policy = policy;
    std::string name = policy;
    std::replace(name.begin(), name.end(), '/', '-');
    write_plan(file("plan-" + name + ".json"), instance.plan);
  }
}

}  // namespace

void save_instance(const std::string& which, const std::vector<StudyGrid>& grids,
                   std::uint64_t seed, const std::string& folder) {
  const NamedInstance named = named_instance(which);
  for (const StudyGrid& grid : grids) {
    if (grid.name != named.grid) continue;
    std::string known;
    for (const StudyCell& cell : cells(grid)) {
      known += "\n  " + grid.name + "/" + cell.name();
      if (cell.name() != named.setting) continue;
      write_instance(draw_instance(cell, seed, named.number), grid, policy_seed(seed, named.number),
                     folder);
      print_text(fmt::format(
          "{0}: workload.toml, cluster.toml, profile.json and a plan per policy; for example\n"
          "  shardlab simulate {0}/workload.toml {0}/cluster.toml -p {0}/profile.json --plan "
          "{0}/plan-{1}.json\n",
          folder, policies_of(grid).front()));
      return;
    }
    throw Error(which + ": no setting of the grid; there are" + known);
  }
  throw Error(which + ": no grid is called " + named.grid);
}

}  // namespace shardlab
