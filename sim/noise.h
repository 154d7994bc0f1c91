#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "core/plan.h"
#include "core/profile.h"
#include "core/timeline.h"
#include "core/workload.h"
#include "sched/backend.h"
#include "sim/ratio.h"

namespace shardlab {

/// From which distribution every unit and copy of a program has its ratio to the estimate.
struct Noise {
  /// Of one unit of a minibatch, by how busy the machine is.
  struct OfUnit {
    Ratio alone, loaded;
  };
  using ByKind = std::array<Ratio, 8>;       ///< By UnitKind; room for all of them.
  using ByDirection = std::array<Ratio, 4>;  ///< By Direction; likewise.

  ByKind units;
  Ratio host_steps;    ///< Of optimizer steps on the host.
  ByDirection copies;  ///< Also of what the disk reads, as a promotion, and writes.
  Ratio dispatch;
  /// By job and unit of a minibatch, and by job and shard; where they are not empty, instead of
  /// `units` and `host_steps`.
  std::vector<std::vector<OfUnit>> each_unit;
  std::vector<std::vector<Ratio>> each_host_step;

  [[nodiscard]] const Ratio& of(const UnitRun& run, UnitKind kind) const;
  [[nodiscard]] const Ratio& of_host_step(JobId job, std::int32_t shard) const {
    if (each_host_step.empty()) return host_steps;
    return each_host_step[index(job)][static_cast<std::size_t>(shard)];
  }
  [[nodiscard]] const Ratio& of(Direction direction) const {
    return copies.at(static_cast<std::size_t>(direction));
  }
};

/// How the times of one shard's layers vary together.
enum class Layers : std::uint8_t {
  kIndependent,  ///< Variances add: the least spread.
  kTogether,     ///< All slow at once, spreads add: the most.
};

/// Of units and steps on the host, each: lognormal, of the spread that the profile measured in the
/// layers of each shard; see docs/design.md, Noise. Copies and dispatch are fixed. Requires:
/// `program` is lowered from the plan.
Noise profiled_noise(const Workload& workload, const Profile& profile, const Plan& plan,
                     const Program& program, Layers layers);

/// What the units of a timeline took, as ratios to the median of the same unit in all minibatches.
/// A kind that has none takes those of all kinds. Throws Error when no unit ran in at least three
/// minibatches.
Noise::ByKind measured_unit_noise(const Timeline& timeline);

/// The same of the steps on the host; fixed where there was none.
Ratio measured_host_step_noise(const Timeline& timeline);

/// The same of what went before units: from the start of a unit's dispatch to its own; fixed where
/// there was none.
Ratio measured_dispatch_noise(const Timeline& timeline);

/// The same of copies of an item in one direction; a direction without them is fixed.
Noise::ByDirection measured_copy_noise(const Timeline& timeline);

}  // namespace shardlab
