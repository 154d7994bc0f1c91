#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "core/cluster.h"
#include "core/time.h"
#include "sched/program.h"

namespace shardlab {

struct Outcome;

/// Times below which no run of a lowered plan can come, whatever its policy: see docs/design.md,
/// Bounds. A unit counts with the least of its costs, except where work says more. Dispatch and
/// waiting count nothing.
struct Bounds {
  Duration work{};     ///< All units over all devices, or as many of them as jobs may run at once.
  Duration levels{};   ///< The longest few tracks over as many of the fastest devices.
  Duration packing{};  ///< Jobs that stay on one device: two of the longest P + 1 share one.
  Duration chain{};   ///< The longest path through one job's units, with its first and last copies.
  Duration device{};  ///< The device to which most work is bound.
  Duration link{};    ///< What lasts goes to a device and back once: bytes over the links' rates.
  Duration traffic{};  ///< The same with what must come again because memory cannot keep it.
  Duration disk{};  ///< What neither devices nor host can keep is read from the disk, and written.

  /// With their names.
  [[nodiscard]] std::array<std::pair<std::string_view, Duration>, 8> all() const;
  [[nodiscard]] Duration greatest() const;
  /// Which one that is: "work", "chain"; of equals the first above.
  [[nodiscard]] std::string_view binding() const;
};

/// `may_pause`: jobs may pause, as for a tuner, and others then cost what they cost alone. Where a
/// device leaves, its absence itself counts nothing, and what is bound counts as if it were not.
Bounds bounds(const Program& program, const Cluster& cluster, bool may_pause = false);

/// The program with so many minibatches of each job: what runs where jobs stop, for bounds of that.
Program that_ran(Program program, std::span<const std::int64_t> minibatches);
Program that_ran(Program program, const Outcome& outcome);

/// What one would estimate without simulating: max(Σ compute / devices, longest track), with costs
/// as measured beside others, without the reductions of replicas; where jobs run one at a time,
/// Σ compute with costs measured alone.
Duration naive_estimate(const Program& program, const Cluster& cluster);

}  // namespace shardlab
