#include "planning/partition_search.h"

#include <gtest/gtest.h>

#include "policies/planner.h"
#include "tests/planned_jobs.h"

namespace shardlab {
namespace {

using planned_jobs::cluster_of;
using planned_jobs::gpt;
using planned_jobs::profile_of;

TEST(PartitionSearch, IsNeverSlowerThanGreedyAndFitsItsMemory) {
  const std::vector<Job> jobs{gpt("a", 4), gpt("b", 4), gpt("c", 3, 10)};
  const Cluster cluster = cluster_of(2, Bytes{300} << 20);
  const Profile profile = profile_of(jobs, false);
  const Plan start = make_plan({jobs}, cluster, profile, {});
  Evaluator evaluator({jobs}, cluster, profile);
  const Plan found = search_partition(evaluator, start, 80, 1, {});
  ASSERT_TRUE(evaluator.whole_makespan(found).has_value());
  EXPECT_LT(*evaluator.whole_makespan(found), *evaluator.whole_makespan(start));
  EXPECT_EQ(found.jobs[0].first_layer, found.jobs[1].first_layer) << "jobs of one kind";
}

TEST(PartitionSearch, SameSeedGivesTheSameCuts) {
  const std::vector<Job> jobs{gpt("a", 4), gpt("b", 3, 10)};
  const Cluster cluster = cluster_of(2, Bytes{300} << 20);
  const Profile profile = profile_of(jobs, false);
  const Plan start = make_plan({jobs}, cluster, profile, {});
  const auto cuts = [&](std::uint64_t seed) {
    Evaluator evaluator({jobs}, cluster, profile);
    const Plan found = search_partition(evaluator, start, 60, seed, {});
    return std::pair(found.jobs[0].first_layer, found.jobs[1].first_layer);
  };
  EXPECT_EQ(cuts(3), cuts(3));
}

TEST(PartitionSearch, LeavesJobsThatDoNotSpill) {
  const std::vector<Job> jobs{gpt("a", 2)};
  const Cluster cluster = cluster_of(2);
  const Profile profile = profile_of(jobs, false);
  const Plan start = make_plan({jobs}, cluster, profile, {Strategy::kModelParallel});
  Evaluator evaluator({jobs}, cluster, profile);
  const Plan found = search_partition(evaluator, start, 20, 1, {});
  EXPECT_EQ(found.jobs[0].first_layer, start.jobs[0].first_layer);
  EXPECT_EQ(evaluator.evaluations(), 1);
}

}  // namespace
}  // namespace shardlab
