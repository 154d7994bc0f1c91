#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/inputs.h"
#include "core/timeline.h"
#include "policies/bounds.h"
#include "policies/planner.h"
#include "report/bill.h"
#include "sched/driver.h"
#include "sched/program.h"

namespace shardlab {

/// Plans whose predicted makespans differ by less are shown as ties: a prediction from measured
/// costs is within this of the median of measured runs (docs/measured.md).
constexpr double kStatedError = 0.10;

/// A timeline takes about 100 bytes a unit; plans of more units are predicted without one.
constexpr std::int64_t kMostSpans = 2'000'000;

/// A plan simulated with the profile's costs.
struct Prediction {
  Plan plan;
  std::string note;
  Program program;
  Outcome outcome;
  Timeline timeline;  ///< Empty unless it was asked for and has at most kMostSpans units.
  Duration naive{};   ///< Both of the minibatches that ran: `stopped` jobs count with fewer.
  Bounds bounds{};
  std::size_t stopped = 0;         ///< Jobs that a tuner stopped early.
  std::vector<std::string> names;  ///< Of all jobs, where some were.
  Bill bill;
  std::optional<double> interval;  ///< Of costs that were estimated; see estimated_interval().
  std::string departure;           ///< Of a plan with an order; see order_departure().
  std::optional<OrderFound> search = {};  ///< Of a plan whose order was searched for.
  struct OnHost {
    std::string job;
    std::vector<int> shards;  ///< Whose optimizer steps on the host.
    int of = 0;               ///< So many.
  };
  std::vector<OnHost> on_host = {};  ///< Of jobs that have such shards.

  /// Between host and devices.
  [[nodiscard]] Bytes bytes_moved() const { return outcome.promoted + outcome.demoted; }
};

/// How many jobs the devices that were left had no room for, which then did not end.
std::size_t without_room(const Outcome& outcome);
/// The same in words, as a reason why a plan cannot run.
std::string without_room_text(const Outcome& outcome);

/// Throws Error when the plan does not match the inputs or cannot fit.
Prediction predict(const Inputs& inputs, const Plan& plan, bool with_timeline);

/// Few enough units for a timeline.
bool fits_timeline(const Program& program);

/// A simulation of hours would look like a hang: throws Error when `times` of them are too many.
void refuse_hours(const Program& program, std::int64_t times);

/// How often devices were lost, and what that cost; without a line's end.
std::string lost_devices_text(const Outcome& outcome);

/// Which shards step on the host, a line per job; empty: none.
std::string steps_text(const Prediction& prediction);
/// The same by the name of the job.
nlohmann::ordered_json steps_json(const Prediction& prediction);

/// How far jobs got where some were stopped early: how many after how many minibatches, and why.
std::string stops_text(const Prediction& prediction);

}  // namespace shardlab
