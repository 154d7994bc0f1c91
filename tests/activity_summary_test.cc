#include "profiler/activity_summary.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

Activity activity(ActivityKind kind, std::int64_t start_ns, std::int64_t end_ns,
                  CopyDirection direction = CopyDirection::kOther, std::uint32_t device = 0) {
  Activity made;
  made.kind = kind;
  made.direction = direction;
  made.device = device;
  made.start_ns = start_ns;
  made.end_ns = end_ns;
  made.bytes = 10;
  made.pinned = true;
  return made;
}

// kernels   ####  ####
// to device   ====
// to host       ====
TEST(ActivitySummary, CountsWhatIsHiddenOnce) {
  ActivityLog log;
  log.activities = {activity(ActivityKind::kKernel, 0, 4), activity(ActivityKind::kKernel, 6, 10),
                    activity(ActivityKind::kCopy, 2, 6, CopyDirection::kHostToDevice),
                    activity(ActivityKind::kCopy, 4, 8, CopyDirection::kDeviceToHost)};
  log.activities.back().pinned = false;
  const ActivitySummary summary = summarize(log);
  EXPECT_EQ(summary.span, Duration{10});
  EXPECT_EQ(summary.kernels, Duration{8});
  EXPECT_EQ(summary.copies, Duration{6});
  EXPECT_EQ(summary.hidden, Duration{4});
  EXPECT_DOUBLE_EQ(summary.hidden_share().value(), 4.0 / 6.0);
  EXPECT_EQ(summary.to_device.beside, Duration{2});
  EXPECT_EQ(summary.to_device.pageable, 0);
  EXPECT_EQ(summary.to_host.beside, Duration{2});
  EXPECT_EQ(summary.to_host.pageable, 10);
  EXPECT_EQ(summary.to_host.count, 1);
}

TEST(ActivitySummary, KernelsHideNothingOnAnotherDevice) {
  ActivityLog log;
  log.activities = {activity(ActivityKind::kKernel, 0, 4),
                    activity(ActivityKind::kCopy, 0, 4, CopyDirection::kHostToDevice, 1)};
  const ActivitySummary summary = summarize(log);
  EXPECT_EQ(summary.hidden, Duration{0});
  EXPECT_EQ(summary.span, Duration{8});  // Of each device.
  EXPECT_FALSE(summary.hidden_share());
}

// More copies than kernels: only as much can be hidden as there are kernels.
TEST(ActivitySummary, CopiesThatOutlastTheKernelsCannotAllBeHidden) {
  ActivityLog log;
  log.activities = {activity(ActivityKind::kKernel, 0, 4),
                    activity(ActivityKind::kCopy, 0, 8, CopyDirection::kHostToDevice)};
  EXPECT_DOUBLE_EQ(summarize(log).hidden_share().value(), 1);
}

TEST(ActivitySummary, NothingHidesNothing) { EXPECT_FALSE(summarize({}).hidden_share()); }

}  // namespace
}  // namespace shardlab
