#include "planning/search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "planning/direction_changes.h"
#include "policies/bounds.h"
#include "policies/registry.h"
#include "sim/costs.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

constexpr int kStale = 200;       // Runs that are no better, before the best is gone back to.
constexpr double kWarmth = 0.25;  // Mean of how much longer a run may be, in mean times of a unit.

class Search {
 public:
  Search(const Program& program, const Cluster& cluster, const OrderSearch& how,
         const SearchProgress& progress)
      : program_(program),
        cluster_(cluster),
        how_(how),
        progress_(progress),
        changes_(program, cluster, how.seed) {
    best_.summary.bound = bound();
  }

  SearchedOrder run() {
    try_policies();
    if (going_) improve();
    best_.summary.proved_optimal = best_.makespan() <= best_.summary.bound;
    return std::move(best_);
  }

 private:
  /// Zero where it depends on the order how much runs.
  [[nodiscard]] Duration bound() const {
    if (!how_.tuner) return bounds(program_, cluster_).greatest();
    if (how_.runs.empty()) return {};
    return bounds(that_ran(program_, how_.runs), cluster_, /*may_pause=*/true).greatest();
  }

  /// A run that is gone on from.
  struct Step {
    Directions directions;
    Instant makespan{};
    double mean_unit = 0;  ///< Time, in seconds.
  };

  void try_policies() {
    best_.summary.policy = "sharp";
    best_.timeline = simulated(*make_policy(best_.summary.policy, program_, how_.seed));
    best_.summary.sharp = best_.makespan();
    note_progress();
    for (const PolicyInfo& policy : known_policies()) {
      if (!going_) return;
      if (policy.name == "sharp") continue;
      std::string name(policy.name);
      Timeline found = simulated(*make_policy(name, program_, how_.seed));
      if (found.makespan < best_.timeline.makespan) {
        best_.summary.policy = std::move(name);
        best_.timeline = std::move(found);
      }
      note_progress();
    }
  }

  void improve() {
    Directions best = directions_of(best_.timeline, program_);
    best.keeps = std::ranges::any_of(best_.timeline.units, &UnitSpan::kept);
    Step now = step_of(best, best_.timeline);
    for (int stale = 0; going_; ++stale) {
      if (stale == kStale) {
        stale = 0;
        now = step_of(best, best_.timeline);
      }
      Directions changed = now.directions;
      changes_.apply(changed);
      Timeline found;
      if (!tried(changed, found)) continue;
      const double longer = seconds(found.makespan) - seconds(now.makespan);
      if (longer > -std::log(changes_.draw()) * kWarmth * now.mean_unit) continue;
      // Its units are named as they ran, not as they were asked for.
      changed.tracks = directions_of(found, program_).tracks;
      now = step_of(std::move(changed), found);
      if (found.makespan < best_.timeline.makespan) {
        best = now.directions;
        best_.timeline = std::move(found);
        stale = 0;
      }
    }
  }

  /// False where it stopped for ever: nobody took what was left.
  bool tried(const Directions& directions, Timeline& found) {
    Directed policy(directions);
    bool ended = true;
    try {
      found = simulated(policy);
    } catch (const Error&) {
      ended = false;
    }
    note_progress();
    return ended;
  }

  Step step_of(Directions directions, const Timeline& timeline) {
    changes_.look_at(timeline);
    return {std::move(directions), timeline.makespan, mean_unit(timeline)};
  }

  Timeline simulated(Policy& policy) {
    ++best_.summary.evaluations;
    EstimatedCosts costs(program_);
    const auto tuner = how_.tuner ? how_.tuner() : nullptr;
    Timeline timeline;
    simulate(program_, cluster_, policy, costs, &timeline, tuner.get());
    return timeline;
  }

  void note_progress() {
    const bool wanted = !progress_ || progress_(best_.summary.evaluations, best_.makespan());
    going_ = wanted && best_.summary.evaluations < how_.evaluations &&
             best_.makespan() > best_.summary.bound;
  }

  const Program& program_;
  const Cluster& cluster_;
  const OrderSearch& how_;
  const SearchProgress& progress_;
  DirectionChanges changes_;
  SearchedOrder best_;
  bool going_ = true;
};

}  // namespace

SearchedOrder search_order(const Program& program, const Cluster& cluster, const OrderSearch& how,
                           const SearchProgress& progress) {
  return Search(program, cluster, how, progress).run();
}

}  // namespace shardlab
