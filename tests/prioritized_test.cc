#include "policies/prioritized.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

Timeline run(const Program& program, std::size_t devices, const std::string& policy) {
  Timeline timeline;
  EstimatedCosts costs(program);
  const auto chosen = make_policy(policy, program, 1);
  simulate(program, instances::devices(devices), *chosen, costs, &timeline);
  return timeline;
}

/// Jobs in the order in which their units ran, on one device.
std::string order(const Program& program, const std::string& policy) {
  std::string text;
  for (const UnitSpan& span : run(program, 1, policy).units) {
    text += program.jobs[index(span.job)].name[0];
  }
  return text;
}

TEST(Prioritized, AHigherPriorityGoesFirstUnderEveryPolicy) {
  for (const PolicyInfo& policy : known_policies()) {
    Program program = instances::chains({{3, 3}, {1, 1}, {2, 2}});
    program.jobs[1].priority = -1;
    program.jobs[2].priority = 5;
    EXPECT_EQ(order(program, std::string(policy.name)), "CCAABB") << policy.name;
  }
}

TEST(Prioritized, AJobThatComesLaterWaitsOnlyForTheUnitThatRuns) {
  for (const PolicyInfo& policy : known_policies()) {
    Program program = instances::chains({{10, 10, 10}, {2, 2}});
    program.jobs[1].priority = 1;
    program.jobs[1].arrival = Instant{Duration{5}};
    EXPECT_EQ(order(program, std::string(policy.name)), "ABBAA") << policy.name;
  }
}

TEST(Prioritized, JobsOfOnePriorityAreChosenByThePolicy) {
  Program program = instances::chains({{1, 1}, {3, 3}, {2, 2}, {9}});
  for (std::size_t j = 0; j < 3; ++j) program.jobs[j].priority = 7;
  EXPECT_EQ(order(program, "srtf"), "AACCBBD");
  EXPECT_EQ(order(program, "round_robin"), "ABCABCD");
}

TEST(Prioritized, ALowerPriorityFillsWhatTheHigherLeavesFree) {
  Program program = instances::chains({{4, 4}, {4, 4}});
  program.jobs[1].priority = 1;
  EXPECT_EQ(run(program, 2, "lrtf").makespan, Instant{Duration{8}});
}

TEST(Prioritized, EqualPrioritiesChangeNothing) {
  Program program = instances::chains({{1, 1}, {2, 2, 2}, {3}});
  const std::string plain = order(program, "lrtf");
  for (JobProgram& job : program.jobs) job.priority = 3;
  EXPECT_EQ(order(program, "lrtf"), plain);
}

TEST(Prioritized, RefusesTooManyPriorities) {
  Program program = instances::chains(std::vector<std::vector<int>>(65, {1}));
  for (std::size_t j = 0; j < 65; ++j) program.jobs[j].priority = static_cast<int>(j);
  EXPECT_EQ(error_of([&] { make_policy("lrtf", program, 1); }),
            "the jobs have 65 different priorities, at most 64 are possible");
  program.jobs[0].priority = 1;
  EXPECT_EQ(error_of([&] { make_policy("lrtf", program, 1); }), "no error");
}

}  // namespace
}  // namespace shardlab
