#include "exec/host_need.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

bool in_host_memory(const JobProgram& job, const Item& item) {
  if (item.kind == ItemKind::kGraph) return false;
  return item.kind != ItemKind::kWeightGradient || gathers(job);
}

/// State with which the host steps is changed in place.
bool has_second_version(const JobProgram& job, const Item& item) {
  if (!item.lasting) return false;
  if (item.kind != ItemKind::kState || job.host_step.empty()) return true;
  for (const Item& other : job.items) {
    if (other.kind == ItemKind::kParameters && other.shard == item.shard) return !other.host_steps;
  }
  return true;
}

HostNeed host_need(const Program& program, bool snapshots) {
  HostNeed need;
  for (const JobProgram& job : program.jobs) {
    for (const Item& item : job.items) {
      if (in_host_memory(job, item)) need.current += item.bytes;
      if (has_second_version(job, item)) need.second += item.bytes;
      if (item.lasting && snapshots) need.snapshots += item.bytes;
    }
  }
  return need;
}

void refuse_too_little_host(const Program& program, const Cluster& cluster, bool snapshots) {
  const HostNeed need = host_need(program, snapshots);
  if (need.all() <= cluster.host_memory) return;
  throw Error(fmt::format(
      "the run needs {} of host memory, the cluster's host_memory is {}: {} for parameters, state "
      "and activations, {} for the next versions of parameters and state, {} for snapshots{}; run "
      "fewer jobs at once",
      format_exact_bytes(need.all()), format_exact_bytes(cluster.host_memory),
      format_bytes(need.current), format_bytes(need.second), format_bytes(need.snapshots),
      snapshots ? " (none with --checkpoint-every never)" : ""));
}

}  // namespace shardlab
