#include "traces/workload_file.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/arrivals.h"
#include "traces/atomic_file.h"
#include "traces/curve_file.h"
#include "traces/early_stop.h"
#include "traces/job_grid.h"
#include "traces/job_table.h"
#include "traces/toml_node.h"

namespace shardlab {
namespace {

const toml::table& defaults_of(const toml::table& root, const std::string& origin,
                               const toml::table& none) {
  const toml::node* node = root.get("defaults");
  if (node == nullptr) return none;
  const toml::table* defaults = node->as_table();
  if (defaults == nullptr) {
    throw Error(place(origin, node->source(), "defaults") + ": must be a table: [defaults]");
  }
  refuse_unknown_keys(*defaults, origin, job_key_names(/*with_name=*/false));
  return *defaults;
}

JobList read_table(const toml::node& jobs, const toml::table& root, const toml::table& defaults,
                   const std::string& origin) {
  std::string path;
  in_context(place(origin, jobs.source(), "job_table"), [&] {
    path = beside(origin, text(jobs));
    if (root.contains("job")) throw Error("there are [[job]] tables too; take one out");
  });
  return parse_job_table(read_whole_file(path), path, single_defaults(defaults, origin));
}

}  // namespace

Workload parse_workload(std::string_view text, const std::string& origin) {
  const toml::table root = parse_toml(text, origin);
  constexpr std::array<std::string_view, 5> kTables{"job", "job_table", "defaults", "arrivals",
                                                    "early_stop"};
  refuse_unknown_keys(root, origin, kTables);
  const toml::table none;
  const toml::table& defaults = defaults_of(root, origin, none);
  const toml::node* jobs = root.get("job_table");
  JobList list = jobs == nullptr ? expand_jobs(root, defaults, origin)
                                 : read_table(*jobs, root, defaults, origin);
  if (const toml::node* node = root.get("arrivals")) draw_arrivals(*node, origin, list);
  Workload workload{std::move(list.jobs), {}};
  if (const toml::node* node = root.get("early_stop")) {
    workload.early_stop = read_early_stop(*node, origin, workload);
  }
  return workload;
}

Workload read_workload(const std::string& path) {
  const std::string text = read_whole_file(path);
  if (path.ends_with(".csv")) return {parse_job_table(text, path, {}).jobs, {}};
  Workload workload = parse_workload(text, path);
  auto& how = workload.early_stop;
  if (how && !how->curves_file.empty()) how->curves = read_curves(how->curves_file, workload);
  return workload;
}

}  // namespace shardlab
