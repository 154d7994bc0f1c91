// The bars of examples/few-jobs: Fig 9B of Hydra, with honest costs of microbatches.
#include <algorithm>
#include <optional>

#include <gtest/gtest.h>

#include "core/error.h"
#include "fit/fitted_profile.h"
#include "fit/guess.h"
#include "planning/joint_plan.h"
#include "policies/planner.h"
#include "tests/sample_data.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

class FewJobs : public testing::Test {
 protected:
  static Profile estimated(const Workload& workload) {
    const Profile measured = merged({read_profile(source_file("profiles/h100-bert-large.json")),
                                     read_profile(source_file("profiles/h100-gpt2-xl.json"))},
                                    {});
    const auto sheets = read_data_sheets(source_file("profiles/devices.toml"));
    const OtherDevice other{find_sheet(sheets, measured.provenance.device),
                            find_sheet(sheets, "RTX 2080 Ti")};
    return fitted(measured, shapes_of(workload), other);
  }

  [[nodiscard]] std::optional<Duration> best(const Cluster& cluster,
                                             const std::vector<PlanChoice>& choices) const {
    std::optional<Duration> least;
    Evaluator evaluator(workload_, cluster, profile_);
    for (const PlanChoice& choice : choices) {
      try {
        const auto time = evaluator.whole_makespan(make_plan(workload_, cluster, profile_, choice));
        if (time && (!least || *time < *least)) least = time;
      } catch (const Error&) {
        continue;
      }
    }
    return least;
  }

  Workload workload_ = read_workload(source_file("examples/few-jobs/workload.toml"));
  Cluster cluster_ = read_cluster(source_file("examples/few-jobs/cluster.toml"));
  Profile profile_ = estimated(workload_);
};

TEST_F(FewJobs, PlanIsSixTimesAsFastAsOneDeviceWhereLrtfAloneIsFourAtMost) {
  ASSERT_EQ(workload_.jobs.size(), 4U);
  ASSERT_EQ(cluster_.devices.size(), 8U);
  Cluster one = cluster_;
  one.devices.resize(1);
  const auto alone = best(one, usual_choices());
  const auto lrtf = best(cluster_, {{Strategy::kSpill, "lrtf", 2, 0, true, 1, {}}});
  Evaluator evaluator(workload_, cluster_, profile_);
  const JointPlan made = plan_jointly(evaluator, {.evaluations = 60}, {});
  ASSERT_TRUE(alone && lrtf);
  EXPECT_GE(seconds(*alone) / seconds(made.predicted), 6);
  EXPECT_LE(seconds(*alone) / seconds(*lrtf), 4);
  for (std::size_t j = 0; j < made.plan.jobs.size(); ++j) {
    const JobPlan& plan = made.plan.jobs[j];
    EXPECT_EQ(workload_.jobs[j].batch % (plan.microbatches * plan.replicas), 0)
        << "the same global batch";
  }
}

TEST_F(FewJobs, MicrobatchesCostMoreThanTheirShareAndAreCalledEstimated) {
  const Job& job = workload_.jobs.front();
  const auto minibatch = [&](int batch) {
    const ModelProfile& entry = find(profile_, job.model, batch, job.optimizer.kind);
    EXPECT_TRUE(entry.interval.has_value());
    return minibatch_time(entry);
  };
  const double whole = minibatch(job.batch);
  for (int parts = 2; parts <= job.batch; parts *= 2) {
    EXPECT_GT(minibatch(job.batch / parts), 1.01 * whole / parts) << parts;
  }
  EXPECT_TRUE(profile_.provenance.estimated.has_value());
}

}  // namespace
}  // namespace shardlab
