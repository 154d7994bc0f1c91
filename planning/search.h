#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/timeline.h"
#include "planning/joint_plan.h"
#include "policies/planner.h"
#include "sched/program.h"
#include "sched/tuner.h"

namespace shardlab {

struct OrderSearch {
  std::int64_t evaluations = 2000;  ///< Simulations at most; the same number, the same order.
  std::uint64_t seed = 1;
  /// A fresh tuner for each simulation; empty: no job stops early.
  std::function<std::unique_ptr<Tuner>()> tuner = {};
  /// How many minibatches each job runs under the tuner, whatever the order; empty: with a tuner,
  /// nobody knows beforehand, and then no lower bound does.
  std::vector<std::int64_t> runs = {};
};

/// The best run that was found.
struct SearchedOrder {
  Timeline timeline;   ///< replaying() makes a plan of it that does the same again.
  OrderFound summary;  ///< Its bound is that of bounds() of what runs.

  [[nodiscard]] Duration makespan() const { return timeline.makespan.time_since_epoch(); }
};

/// Policy `search`: iterated greedy over whole runs, each judged by simulating it.
///  1. The first simulation is sharp's run, then come all other policies'. The best of them is kept
///     as directions: each unit's device, and its rank, its place among all claims.
///  2. Destroy: one to four changes. Units of one track, or all from a point on, are due earlier or
///     later, get another device or none; two units change places; two devices change what is left
///     of their work; idle devices help or do not, changed copies stay or do not, prefetching
///     starts earlier or later. Half of these concern a track that ends last.
///  3. Rebuild: a list schedule by these directions (planning/directed.h), in the simulator, with
///     all memory, copies and links.
///  4. A run as short, or longer by less than a draw from an exponential distribution, is gone on
///     from; after 200 that were no better than the best, the best is.
/// It ends when the best meets a lower bound, where there is one, after so many simulations, or
/// when `progress` says.
/// Any-time, never worse than sharp; draws depend on the seed alone.
/// Source: own combination; destroy, rebuild and the constant temperature are the iterated greedy
/// of Ruiz and Stützle (2007); to change what a list schedule is made from rather than the
/// schedule, so that every change can be run, is Storer, Wu and Vaccari (1992).
///
/// Throws Error when the program cannot run. Requires: it fits the cluster.
SearchedOrder search_order(const Program& program, const Cluster& cluster, const OrderSearch& how,
                           const SearchProgress& progress);

}  // namespace shardlab
