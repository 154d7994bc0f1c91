#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/program.h"

/// Instances for tests and benchmarks: small ones by hand, others drawn from a seed.
namespace shardlab::instances {

/// Policies that are a number per ready unit and never leave a device idle while there is one.
inline constexpr std::array kListPolicies = {"lrtf", "fifo", "srtf", "round_robin", "random"};

/// The example of a policy from outside the tree; empty where it is not built.
inline std::string external_policy() {
  const char* path = std::getenv("SHARDLAB_EXAMPLE_POLICY");
  return path == nullptr ? "" : path;
}

/// Policies that leave no device idle while a unit is ready, where devices are equal and nothing is
/// copied: all but those of whole jobs.
inline std::vector<std::string> work_conserving() {
  std::vector<std::string> names(kListPolicies.begin(), kListPolicies.end());
  for (const char* name :
       {"lrtf_minibatch", "lrtf_committed", "sticky", "sticky(0)", "hold", "heft", "sharp"}) {
    names.emplace_back(name);
  }
  if (!external_policy().empty()) names.push_back(external_policy());
  return names;
}

/// Numbers one after another, from a seed.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}
  /// From 0; not `end`.
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  int operator()(int end) { return static_cast<int>(below(static_cast<std::size_t>(end))); }
  template <typename Value>
  const Value& of(const std::vector<Value>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 random_;
};

/// How many seeds a random test draws: `usual`, or SHARDLAB_SEEDS in the long tier.
inline std::uint64_t seeds(std::uint64_t usual) {
  const char* wanted = std::getenv("SHARDLAB_SEEDS");
  return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

/// Jobs that only compute: jobs[j][u] is the time in ns of unit u of job j's only minibatch.
inline Program chains(const std::vector<std::vector<int>>& jobs, int slots = 1) {
  Program program;
  program.slots = slots;
  for (const auto& times : jobs) {
    JobProgram job;
    job.name = std::string(1, static_cast<char>('A' + program.jobs.size()));
    job.minibatches = 1;
    for (const int time : times) {
      Unit unit;
      unit.alone = unit.loaded = {Duration{time}, {}};
      job.units.push_back(unit);
    }
    expect(job, false);
    program.jobs.push_back(job);
  }
  return program;
}

inline Cluster devices(std::size_t count, Bytes memory = kUnlimited, LinkSpec link = {},
                       int copy_engines = 1) {
  Cluster cluster;
  for (std::size_t d = 0; d < count; ++d) {
    cluster.devices.push_back({"d" + std::to_string(d), "test", memory, 1, copy_engines, link});
  }
  return cluster;
}

/// Of a device: just enough for every slot's largest unit and for the largest held job; too little
/// for all jobs together.
inline Bytes tight_budget(const Program& program) {
  Bytes unit_need = 0, held = 0;
  for (const JobProgram& job : program.jobs) {
    for (const Unit& unit : job.units) unit_need = std::max(unit_need, need(job, unit));
    for (const Bytes peak : job.peak) held = std::max(held, peak);
  }
  return unit_need * program.slots + held;
}

/// A workload with its profile and plan: everything that lower() wants.
struct Case {
  Workload workload;
  Profile profile;
  Plan plan;
};

struct Shape {
  int jobs = 4;
  int shards = 3;  ///< One layer each.
  std::int64_t minibatches = 3;
  int slots = 1;
  int longest = 20;  ///< Times are drawn from 1 to this, in ns.
  Bytes largest = 16;
};

/// Every duration and size drawn; a job's shards are single layers. Equal (shape, seed), equal
/// case.
inline Case draw(const Shape& shape, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto upto = [&](std::int64_t most) {
    return 1 + static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(most));
  };
  Case drawn;
  for (int j = 0; j < shape.jobs; ++j) {
    Job job;
    job.name = "job" + std::to_string(j);
    job.model = {Architecture::kMlp, j + 1, 1, 1, 1, 0};  // `layers` only tells the models apart.
    job.batch = 1;
    job.minibatches = shape.minibatches;
    drawn.workload.jobs.push_back(job);
    ModelProfile model{job.model, job.batch, job.optimizer.kind, {}};
    JobPlan plan;
    for (int s = 0; s < shape.shards; ++s) {
      LayerCost layer;
      for (Measured* time : {&layer.loaded.forward, &layer.loaded.recompute, &layer.loaded.backward,
                             &layer.loaded.step}) {
        *time = {Duration{upto(shape.longest)}, {}, 1};
      }
      layer.alone = layer.loaded;
      for (Bytes* bytes : {&layer.parameters, &layer.state, &layer.output, &layer.forward_workspace,
                           &layer.saved, &layer.backward_workspace}) {
        *bytes = upto(shape.largest);
      }
      model.layers.push_back(layer);
      plan.first_layer.push_back(s);
    }
    drawn.profile.models.push_back(model);
    drawn.plan.jobs.push_back(plan);
  }
  drawn.plan.slots = shape.slots;
  return drawn;
}

}  // namespace shardlab::instances
