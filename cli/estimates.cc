#include "cli/estimates.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "sched/partitioned.h"

namespace shardlab {
namespace {

/// The profiles of the cluster's devices, in their order.
std::vector<const Profile*> profiles_used(const Inputs& inputs) {
  std::vector<const Profile*> used;
  for (const DeviceSpec& device : inputs.cluster.devices) {
    const auto other = inputs.profile.others.find(device.costs);
    const bool own = other == inputs.profile.others.end();
    const Profile* each = own ? &inputs.profile : other->second.get();
    if (std::ranges::find(used, each) == used.end()) used.push_back(each);
  }
  return used;
}

}  // namespace

std::optional<double> estimated_interval(const Inputs& inputs, const Plan& plan) {
  std::optional<double> widest;
  for (const Profile* profile : profiles_used(inputs)) {
    if (!profile->provenance.estimated) continue;
    for (std::size_t j = 0; j < plan.jobs.size(); ++j) {
      const Job& job = inputs.workload.jobs[j];
      const int batch =
          microbatch_size(job.batch, plan.jobs[j].microbatches, plan.jobs[j].replicas);
      widest = std::max(widest, find(*profile, job.model, batch, job.optimizer.kind).interval);
    }
  }
  return widest;
}

std::string estimate_text(const Inputs& inputs, double interval) {
  std::string method;
  for (const Profile* profile : profiles_used(inputs)) {
    if (!profile->provenance.estimated) continue;
    const Estimate& estimate = *profile->provenance.estimated;
    method = estimate.method;
    if (estimate.held_out) {
      method += fmt::format("; median held-out error {:.0f} %", 100 * *estimate.held_out);
    }
    break;
  }
  return fmt::format(
      "estimated: not all costs were measured ({}); nine of ten true times lie "
      "within a factor of {:.2f}",
      method, 1 + interval);
}

}  // namespace shardlab
