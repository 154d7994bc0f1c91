#pragma once

#include <cstdlib>
#include <string>

#include "core/plan.h"
#include "core/profile.h"
#include "core/timeline.h"

namespace shardlab {

/// A file of the repository, wherever the test runs.
inline std::string source_file(const std::string& path) {
  const char* root = std::getenv("SHARDLAB_SOURCE");
  return std::string(root == nullptr ? "." : root) + "/" + path;
}

inline Instant at(std::int64_t ns) { return Instant(Duration(ns)); }

/// What examples/formats/profile.json holds.
inline Profile sample_profile() {
  const auto times = [](std::int64_t scale) {
    return LayerTimes{{Duration{100 * scale}, Duration{3}, 20},
                      {Duration{110 * scale}, Duration{4}, 20},
                      {Duration{200 * scale}, Duration{5}, 20},
                      {Duration{50 * scale}, Duration{6}, 20}};
  };
  Profile profile;
  profile.provenance = {"Example CPU",
                        "2.13.0",
                        "0.1.0",
                        "2025-01-31T12:00:00Z",
                        "clock, round robin",
                        2,
                        1,
                        3,
                        20,
                        0.0125,
                        Duration{250'000'000}};
  profile.alone = {
      {Duration{1'500}, 8e9}, Duration{20'000}, Duration{5'000}, {Duration{1'600}, 7e9}};
  profile.loaded = {
      {Duration{1'800}, 6.5e9}, Duration{24'000}, Duration{6'000}, {Duration{1'900}, 6e9}};
  ModelProfile model{{Architecture::kGpt, 1, 64, 2, 32, 0.1}, 8, OptimizerKind::kAdamW, {}};
  model.layers.push_back(
      {"embedding", times(1'000), times(1'200), 24'576, 49'152, 65'536, 0, 2'048, 4'096});
  model.layers.push_back(
      {"block 0", times(9'000), times(9'700), 199'936, 399'872, 65'536, 131'072, 524'288, 262'144});
  profile.models.push_back(model);
  return profile;
}

/// What examples/formats/plan.json holds.
inline Plan sample_plan() {
  Plan plan{"mixed/lrtf", {}, "lrtf", 1, 0, 2};
  plan.jobs.push_back({Strategy::kSpill, {0, 1, 3}, {}, true});
  plan.jobs.push_back({Strategy::kModelParallel, {0, 2}, {DeviceId{0}, DeviceId{1}}, false});
  return plan;
}

/// What examples/formats/timeline.json holds: one minibatch of job a, its forward on device 0 and
/// its backward on device 1, which promotes the shard again over a paced link; job b was stopped.
inline Timeline sample_timeline() {
  Timeline timeline;
  timeline.plan = "spill/lrtf";
  timeline.source = "simulated";
  timeline.jobs = {"a", "b"};
  timeline.devices = {"cpu-0", "cpu-1"};
  timeline.units = {{JobId{0}, 0, 0, UnitKind::kForward, 0, DeviceId{0}, 1, 0, at(0), at(0),
                     at(1'200), at(1'210), at(4'000), Duration{}},
                    {JobId{0}, 1, 0, UnitKind::kBackward, 0, DeviceId{1}, 1, 1, at(4'000),
                     at(4'100), at(5'300), at(5'305), at(9'001), Duration{1'500}}};
  timeline.units[1].ready = at(4'000);
  timeline.copies = {{JobId{0}, ItemKind::kParameters, 0, 0, DeviceId{0}, Direction::kPromote,
                      400'000, at(0), at(0), at(1'000), at(1'000), at(1'200), at(1'200)},
                     {JobId{0}, ItemKind::kParameters, 0, 0, DeviceId{1}, Direction::kPromote,
                      400'000, at(4'100), at(4'100), at(5'100), at(5'100), at(5'300), at(5'300)},
                     {JobId{0}, ItemKind::kState, 0, 0, DeviceId{1}, Direction::kDemote, 800'000,
                      at(9'001), at(9'401), at(11'401), at(9'001), at(9'401), at(11'401)}};
  timeline.ends = {{at(11'401), true, "", 1}, {at(0), false, "loss is not a number", 0}};
  timeline.budget = {1'000'000, kUnlimited};
  timeline.peak = {900'000, 1'300'000};
  timeline.makespan = at(11'401);
  return timeline;
}

}  // namespace shardlab
