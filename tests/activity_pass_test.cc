#include "profiler/activity_pass.h"

#include <cstddef>
#include <memory>
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

TEST_F(ActivityPass, RecordsThatWereDroppedMarkTheProfile) {
  const auto cupti = std::make_shared<MockCupti>();
  cupti->dropped = 3;
  EXPECT_EQ(record(cupti).source,
            "CUPTI activity records, incomplete; CUPTI had no room for 3 records");
  EXPECT_FALSE(has_busy_times());
}

}  // namespace
}  // namespace shardlab
