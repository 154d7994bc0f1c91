#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/plan.h"
#include "core/timeline.h"
#include "report/bill.h"
#include "report/comparison.h"
#include "report/metrics.h"

/// What --json and summary.json say, as docs/formats.md lists it. Times are seconds, sizes bytes,
/// utilizations fractions of the makespan.
namespace shardlab {

/// name, strategy, policy, admit, slots, recompute, seed, shards_per_job. A plan whose jobs differ
/// in strategy is "mixed".
nlohmann::ordered_json plan_properties_json(const Plan& plan);

/// {"occupied", "busy", "useful"}: means over the devices.
nlohmann::ordered_json utilization_json(const Utilization& utilization);
nlohmann::ordered_json utilization_json(const Timeline& timeline);

/// {"lane_copies", "copy_wait", "memory_wait", "job_wait", "dispatch", "tail", "reducing", "lost",
/// "absent"}: means over the devices.
nlohmann::ordered_json idle_json(const Idle& idle);

/// energy_j and energy_kwh, cost: those that are given.
nlohmann::ordered_json bill_json(const Bill& bill);

/// Per device: utilization, what the lane waited for, bytes in and out, peak and budget.
nlohmann::ordered_json devices_json(const Timeline& timeline);

/// predicted_s, measured_s, naive_s, lower_bound_s, error, split, note, and both timelines'
/// utilization, bytes moved and devices.
nlohmann::ordered_json comparison_json(const Comparison& comparison);

/// One plan, run several times.
struct MeasuredPlan {
  Plan plan;
  std::vector<Comparison> runs;
  std::vector<double> drift;         ///< Per run: see docs/formats.md.
  std::vector<std::string> folders;  ///< Per run: where its files are.

  /// Of the run with the median makespan, the faster of the middle two.
  [[nodiscard]] std::size_t median() const;
  [[nodiscard]] double measured_s() const;
  [[nodiscard]] double largest_drift() const;  ///< The one furthest from 0.
};

/// One entry of `runs` in summary.json.
nlohmann::ordered_json measured_plan_json(const MeasuredPlan& measured);

/// summary.json of the demo. The first plan is the one that the others are compared with; jobs'
/// shards are its.
nlohmann::ordered_json summary_json(const std::vector<MeasuredPlan>& plans);

}  // namespace shardlab
