#include "policies/bounds.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policies/bound_parts.h"
#include "sched/driver.h"

namespace shardlab {
namespace {

/// The first of the greatest.
std::pair<std::string_view, Duration> best(const Bounds& bounds) {
  const auto all = bounds.all();
  return *std::ranges::max_element(all, {}, &std::pair<std::string_view, Duration>::second);
}

/// What was bound to a device that leaves goes on elsewhere: as if nothing were bound.
Program unbound(Program program) {
  for (JobProgram& job : program.jobs) {
    job.resident = false;
    for (Unit& unit : job.units) unit.bound = kNoDevice;
  }
  return program;
}

Bounds of_bound(const Program& program, const Cluster& cluster, bool may_pause) {
  const ComputeBounds compute = compute_bounds(program, cluster, may_pause);
  const MoveBounds move = move_bounds(program, cluster);
  return {compute.work,   compute.levels, compute.packing, critical_chain(program, cluster),
          compute.device, move.link,      move.traffic,    move.disk};
}

/// Adding up gradients takes links, which the estimate knows nothing of.
Duration computing_time(const JobProgram& job, const Track& track) {
  Duration sum = track_time(job, track);
  for (std::uint32_t u = track.first; u < track.first + track.count; ++u) {
    if (job.units[u].kind == UnitKind::kReduce) sum -= job.units[u].expected;
  }
  return sum;
}

}  // namespace

std::array<std::pair<std::string_view, Duration>, 8> Bounds::all() const {
  return {{{"work", work},
           {"levels", levels},
           {"packing", packing},
           {"chain", chain},
           {"device", device},
           {"link", link},
           {"traffic", traffic},
           {"disk", disk}}};
}

Duration Bounds::greatest() const { return best(*this).second; }

std::string_view Bounds::binding() const { return best(*this).first; }

Bounds bounds(const Program& program, const Cluster& cluster, bool may_pause) {
  // A job of which something was lost waits until it is admitted again, as if it were paused.
  if (cluster.loses_devices()) return of_bound(unbound(program), cluster, /*may_pause=*/true);
  return of_bound(program, cluster, may_pause);
}

Program that_ran(Program program, std::span<const std::int64_t> minibatches) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    program.jobs[j].minibatches = minibatches[j];
  }
  return program;
}

Program that_ran(Program program, const Outcome& outcome) {
  std::vector<std::int64_t> minibatches;
  for (const JobEnd& end : outcome.jobs) minibatches.push_back(end.minibatches);
  return that_ran(std::move(program), minibatches);
}

Duration naive_estimate(const Program& program, const Cluster& cluster) {
  Duration sum{}, longest{};
  for (const JobProgram& job : program.jobs) {
    for (const Track& track : tracks_of(job)) {
      const Duration time = job.minibatches * computing_time(job, track);
      sum += time;
      longest = std::max(longest, time);
    }
  }
  if (program.admit == 1 && track_count(program) == program.jobs.size()) return sum;
  const auto devices = static_cast<Duration::rep>(std::max<std::size_t>(cluster.devices.size(), 1));
  return std::max(Duration{(sum.count() + devices - 1) / devices}, longest);
}

}  // namespace shardlab
