#include <set>
#include <string>

#include <gtest/gtest.h>

#include "policies/planner.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/sample_data.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

/// What the demo shows depends on its inputs: models too large for a device, which spilling trains
/// on all of them at once. The profile is one that the demo measured.
namespace shardlab {
namespace {

class DemoInputs : public testing::Test {
 protected:
  [[nodiscard]] const ModelProfile& model(const Job& job) const {
    return find(profile_, job.model, job.batch, job.optimizer.kind);
  }
  [[nodiscard]] Plan plan(const PlanChoice& choice) const {
    return make_plan(workload_, cluster_, profile_, choice);
  }
  [[nodiscard]] double predicted(const PlanChoice& choice) const {
    const Plan made = plan(choice);
    const Program program = lower(workload_, cluster_, profile_, made);
    EstimatedCosts costs(program);
    const auto policy = make_policy(made.policy, program.jobs.size(), made.seed);
    return seconds(simulate(program, cluster_, *policy, costs, nullptr).makespan);
  }

  const Workload workload_ = read_workload(source_file("examples/demo/workload.toml"));
  const Cluster cluster_ = read_cluster(source_file("examples/demo/cluster.toml"));
  const Profile profile_ = read_profile(source_file("examples/demo/profile.json"));
  const PlanChoice spill_{.strategy = Strategy::kSpill, .policy = "lrtf"};
  const PlanChoice one_at_a_time_{.strategy = Strategy::kModelParallel, .admit = 1};
};

TEST_F(DemoInputs, AreSixJobsOrMoreOfTwoArchitecturesOnTwoDevices) {
  EXPECT_GE(workload_.jobs.size(), 6u);
  std::set<Architecture> architectures;
  for (const Job& job : workload_.jobs) architectures.insert(job.model.architecture);
  EXPECT_GE(architectures.size(), 2u);
  EXPECT_EQ(cluster_.devices.size(), 2u);
}

TEST_F(DemoInputs, NoJobFitsADevice) {
  for (const Job& job : workload_.jobs) {
    Bytes bytes = 0;  // Parameters, their gradients and the optimizer's state.
    for (const LayerCost& layer : model(job).layers) bytes += 2 * layer.parameters + layer.state;
    for (const DeviceSpec& device : cluster_.devices) {
      const double share = static_cast<double>(bytes) / static_cast<double>(device.memory);
      EXPECT_GE(share, 1.1) << job.name << " on " << device.name;
      EXPECT_LE(share, 1.6) << job.name << " on " << device.name;
    }
  }
}

TEST_F(DemoInputs, SpillCutsEveryJobIntoAtLeastThreeShards) {
  for (const JobPlan& job : plan(spill_).jobs) EXPECT_GE(job.shards(), 3);
}

TEST_F(DemoInputs, ModelParallelHoldsEveryJobOnTheTwoDevicesWithoutSpilling) {
  const auto made = make_plans(workload_, cluster_, profile_, {one_at_a_time_});
  EXPECT_EQ(made.front().note, "");
  for (const JobPlan& job : made.front().plan->jobs) {
    EXPECT_EQ(job.device, (std::vector<DeviceId>{DeviceId{0}, DeviceId{1}}));
  }
}

TEST_F(DemoInputs, SpillIsPredictedAtLeastOnePointEightTimesAsFastAsModelParallel) {
  EXPECT_GE(predicted(one_at_a_time_) / predicted(spill_), 1.8);
}

}  // namespace
}  // namespace shardlab
