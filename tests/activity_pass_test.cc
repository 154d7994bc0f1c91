#include "profiler/activity_pass.h"

#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/mock_cupti.h"

namespace shardlab {
namespace {

/// A small model on one CPU device, whose passes push and pop ranges as on a GPU.
class ActivityPass : public testing::Test {
 protected:
  /// What a profile gets of a pass over that CUPTI.
  ActivityFacts record(const std::shared_ptr<MockCupti>& cupti) {
    ActivitySession session(cupti, kSmall);
    ActivityFacts facts;
    models_.assign(1, {});
    models_[0].layers.resize(3);
    lane_.worker().run([&] {
      lane_.enter();
      facts = add_busy_times(session, lane_, models_);
    });
    return facts;
  }
  const ModelProfile& model() const { return models_[0]; }
  bool has_busy_times() { return models_[0].layers[1].alone.forward.busy.has_value(); }

 private:
  static DeviceSpec cpu() {
    DeviceSpec device;
    device.name = "a";
    return device;
  }

  Lane lane_{{{{Architecture::kMlp, 1, 4, 1, 4, 0}, 2, OptimizerKind::kSgd}}, cpu()};
  std::vector<ModelProfile> models_;
};

TEST_F(ActivityPass, WhateverCallFailsTheProgramGoesOnAndTheProfileSaysIncomplete) {
  constexpr const char* kMark = "CUPTI activity records, incomplete; ";
  const auto whole = std::make_shared<MockCupti>();
  EXPECT_EQ(record(whole).source, "CUPTI activity records");
  EXPECT_TRUE(has_busy_times());
  ASSERT_GT(whole->calls.size(), 24U);
  for (std::size_t fail_at = 1; fail_at <= whole->calls.size(); ++fail_at) {
    const auto cupti = std::make_shared<MockCupti>();
    cupti->fail_at = fail_at;
    const ActivityFacts facts = record(cupti);
    const std::string failed = cupti->calls.at(fail_at - 1);
    SCOPED_TRACE(failed + ", call " + std::to_string(fail_at) + ": " + facts.source);
    const bool marks_range = failed == "push" || failed == "pop";
    if (failed == "promise") {  // Only slower.
      EXPECT_TRUE(facts.source.starts_with("CUPTI activity records; cuptiActivitySetAttribute"));
    } else {
      EXPECT_TRUE(facts.source.starts_with(kMark));
    }
    EXPECT_EQ(has_busy_times(), marks_range || failed == "promise");
  }
}

/// For every range that was pushed two kernels of 10 ns, 20 ns apart, and a copy of 5 ns between
/// them; of all of them the first has one more kernel behind. Then a copy of no range.
class WorkingCupti : public MockCupti {
 public:
  ActivityLog parse(std::span<const RecordBuffer>) override {
    ActivityLog log;
    std::set<std::uint64_t> seen;
    std::int64_t at = 1000;
    const auto add = [&](ActivityKind kind, std::uint64_t range, std::int64_t from,
                         std::int64_t to) {
      Activity& activity = log.activities.emplace_back();
      activity.kind = kind;
      activity.range = range;
      activity.start_ns = at + from;
      activity.end_ns = at + to;
      activity.direction = CopyDirection::kHostToDevice;
      activity.bytes = 64;
    };
    for (const RangeMark& mark : marks) {
      if (mark.id == 0 || !seen.insert(mark.id).second) continue;
      add(ActivityKind::kKernel, mark.id, 0, 10);
      add(ActivityKind::kCopy, mark.id, 12, 17);
      add(ActivityKind::kKernel, mark.id, 30, 40);
      if (seen.size() == 1) add(ActivityKind::kKernel, mark.id, 50, 60);
      at += 1000;
    }
    add(ActivityKind::kCopy, 0, 0, 7);
    return log;
  }
};

TEST_F(ActivityPass, AProfileHoldsGapsAndCopiesOfEveryLayerAndPhaseAndTheRest) {
  const ActivityFacts facts = record(std::make_shared<WorkingCupti>());
  EXPECT_EQ(facts.source, "CUPTI activity records");
  EXPECT_GT(facts.over_events.value(), 0);
  constexpr std::int64_t kRepeats = 5;
  const CopyClass pageable{CopyDirection::kHostToDevice, false};
  const DeviceWork each{kRepeats,
                        2 * kRepeats,
                        kRepeats * Duration{20},
                        kRepeats * Duration{15},
                        {{pageable, {kRepeats, kRepeats * 64, kRepeats * Duration{5}}}}};
  DeviceWork first = each;
  first.launches += 1;
  first.busy += Duration{10};
  first.gaps += Duration{10};
  for (std::size_t i = 0; i < model().layers.size(); ++i) {
    for (const Phase phase : kPhases) {
      const bool is_first = i == 0 && phase == Phase::kForward;
      EXPECT_EQ(model().layers[i].recorded.at(phase), is_first ? first : each) << i;
      EXPECT_EQ(of(model().layers[i].alone, phase).busy, Duration{20});
    }
  }
  EXPECT_EQ(model().unattributed,
            (DeviceWork{kRepeats, 0, Duration{}, Duration{}, {{pageable, {1, 64, Duration{7}}}}}));
}

TEST_F(ActivityPass, RecordsThatWereDroppedMarkTheProfile) {
  const auto cupti = std::make_shared<MockCupti>();
  cupti->dropped = 3;
  EXPECT_EQ(record(cupti).source,
            "CUPTI activity records, incomplete; CUPTI had no room for 3 records");
  EXPECT_FALSE(has_busy_times());
}

}  // namespace
}  // namespace shardlab
