#include "policies/plan_order.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "traces/plan_file.h"

namespace shardlab {
namespace {

Timeline run(const Program& program, const Cluster& cluster, Policy& policy) {
  EstimatedCosts costs(program);
  Timeline timeline;
  simulate(program, cluster, policy, costs, &timeline);
  return timeline;
}

Plan plan_of(std::vector<OrderedUnit> order) {
  Plan plan;
  plan.policy = kReplay;
  plan.order = std::move(order);
  return plan;
}

Timeline follow(const Plan& plan, const Program& program, const Cluster& cluster,
                Replay::Times times = Replay::Times::kKept) {
  const auto policy = make_policy(plan, program, cluster.devices.size(), times);
  return run(program, cluster, *policy);
}

/// The first claim that is not the same; empty: none.
std::string difference(const std::vector<OrderedUnit>& a, const std::vector<OrderedUnit>& b) {
  const auto text = [](const std::vector<OrderedUnit>& order, std::size_t i) {
    if (i == order.size()) return std::string("nothing");
    const OrderedUnit& each = order[i];
    return fmt::format(
        "device {}, job {}, minibatch {}, unit {}, at {}.{}.{}, ahead {}, given back {}",
        index(each.device), index(each.job), each.minibatch, each.unit,
        each.claim.time_since_epoch().count(), each.turn.round, each.turn.pass, each.ahead,
        each.given_back);
  };
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size() && a[i] == b[i]) continue;
    return fmt::format("claim {}: {}; {}", i, text(a, std::min(i, a.size())),
                       text(b, std::min(i, b.size())));
  }
  return "";
}

// Saving an order.

/// Now and then leaves a slot empty although a unit could run, as a policy may.
class Hesitant final : public Policy {
 public:
  Hesitant(std::unique_ptr<Policy> policy, std::uint64_t seed)
      : policy_(std::move(policy)), draws_(seed) {}
  void ready(const Candidate& unit) override { policy_->ready(unit); }
  void gone(TrackId track) override { policy_->gone(track); }
  TrackId pick(const DeviceView& device) override {
    const bool passes = passed_ < 1000 && draws_() % 4 == 0;
    passed_ += passes ? 1 : 0;
    return passes ? kNoTrack : policy_->pick(device);
  }
  [[nodiscard]] bool lookahead() const override { return policy_->lookahead(); }

 private:
  std::unique_ptr<Policy> policy_;
  std::mt19937_64 draws_;
  int passed_ = 0;
};

class SavedOrder : public testing::TestWithParam<const char*> {};

TEST_P(SavedOrder, ReplaysToTheSameNanosecond) {
  for (std::uint64_t seed = 0; seed < instances::seeds(600); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    const Timeline once = run(drawn.program, drawn.cluster, *policy);
    const Plan plan = plan_of(order_of(once));
    refuse_wrong_order(plan, drawn.program, drawn.cluster, false);
    const Timeline again = follow(plan, drawn.program, drawn.cluster);
    ASSERT_EQ(again.makespan, once.makespan);
    ASSERT_EQ(difference(order_of(again), plan.order), "");
    ASSERT_EQ(again.copies.size(), once.copies.size());
  }
}

// Policies that hold on purpose decide otherwise at the same instant; so the order of claims counts
// there too.
TEST_P(SavedOrder, OfAHesitantPolicyReplaysToTheSameNanosecond) {
  int completed = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(600); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    Hesitant policy(make_policy(GetParam(), track_count(drawn.program), 1), seed);
    Timeline once;
    try {
      once = run(drawn.program, drawn.cluster, policy);
    } catch (const Error&) {
      continue;  // It left all slots empty at once.
    }
    ++completed;
    const Plan plan = plan_of(order_of(once));
    const Timeline again = follow(plan, drawn.program, drawn.cluster);
    ASSERT_EQ(again.makespan, once.makespan);
  }
  EXPECT_GT(completed, 100);
}

INSTANTIATE_TEST_SUITE_P(All, SavedOrder, testing::ValuesIn(instances::kListPolicies),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace shardlab
