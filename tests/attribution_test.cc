#include "profiler/attribution.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "profiler/activity_totals.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

Activity kernel(std::uint64_t range, std::int64_t start, std::int64_t end,
                std::uint32_t stream = 7) {
  Activity activity;
  activity.kind = ActivityKind::kKernel;
  activity.range = range;
  activity.stream = stream;
  activity.start_ns = start;
  activity.end_ns = end;
  return activity;
}

Activity copy(std::uint64_t range, CopyClass copy_class, std::int64_t start, std::int64_t end,
              Bytes bytes) {
  Activity activity = kernel(range, start, end);
  activity.kind = ActivityKind::kCopy;
  activity.direction = copy_class.direction;
  activity.pinned = copy_class.pinned;
  activity.bytes = bytes;
  return activity;
}

Activity launched(Activity activity, std::int64_t at) {
  activity.launch_start_ns = at;
  activity.launch_end_ns = at + 1;
  return activity;
}

ActivityLog log_of(std::vector<Activity> activities) {
  ActivityLog log;
  std::ranges::stable_sort(activities, {}, &Activity::start_ns);
  log.activities = std::move(activities);
  return log;
}

TEST(Attribution, WhatOverlapsOnTwoStreamsCountsOnce) {
  //          10   20   30   40   50   60
  // stream 7  ####           ####
  // stream 8       #####          ####       (from 15 and 50: the first two overlap)
  const Attribution found = attribute(
      log_of({kernel(1, 10, 20), kernel(1, 15, 30, 8), kernel(1, 40, 50), kernel(1, 50, 60, 8)}));
  const RangeTimes& times = found.ranges.at(1);
  EXPECT_EQ(times.busy, Duration(20 + 20));
  EXPECT_EQ(times.gaps, Duration(10));
  EXPECT_EQ(times.kernels, 4);
  EXPECT_EQ(times.first_start_ns, 10);
  EXPECT_EQ(times.last_end_ns, 60);
  EXPECT_EQ(found.unattributed.kernels, 0);
}

TEST(Attribution, AGapIsBetweenKernelsOfARangeWhileNothingOfAnyRangeRuns) {
  //            10   20   30   40   50   60   70
  // range 1    ####      ####           ####
  // range 2           ## (a copy)
  // no range                       #
  const CopyClass up{CopyDirection::kHostToDevice, true};
  const Attribution found =
      attribute(log_of({kernel(1, 10, 20), copy(2, up, 22, 25, 100), kernel(1, 30, 40),
                        kernel(0, 50, 52), kernel(1, 60, 70)}));
  EXPECT_EQ(found.ranges.at(1).waiting, Duration(10));
  EXPECT_EQ(found.ranges.at(1).gaps, Duration(10 - 3));
  EXPECT_EQ(found.ranges.at(1).busy, Duration(30));
  EXPECT_EQ(found.ranges.at(2).busy, Duration(0));
  EXPECT_EQ(found.ranges.at(2).gaps, Duration(0));
}

TEST(Attribution, CopiesAreSummedPerDirectionAndMemory) {
  const CopyClass up{CopyDirection::kHostToDevice, true}, slow{CopyDirection::kHostToDevice, false};
  const CopyClass down{CopyDirection::kDeviceToHost, true};
  const Attribution found = attribute(log_of({copy(1, up, 10, 20, 100), copy(1, up, 15, 25, 200),
                                              copy(1, slow, 10, 11, 5), copy(1, down, 50, 60, 7)}));
  const RangeTimes& times = found.ranges.at(1);
  EXPECT_EQ(times.copies.at(up), (CopyTotals{2, 300, Duration(15)}));
  EXPECT_EQ(times.copies.at(slow), (CopyTotals{1, 5, Duration(1)}));
  EXPECT_EQ(times.copies.at(down), (CopyTotals{1, 7, Duration(10)}));
  EXPECT_EQ(times.kernels, 0);
}

TEST(Attribution, SetsAreBusyTimeAndCountedApart) {
  Activity set = kernel(1, 20, 25);
  set.kind = ActivityKind::kSet;
  const RangeTimes times = attribute(log_of({kernel(1, 10, 20), set})).ranges.at(1);
  EXPECT_EQ(times.busy, Duration(15));
  EXPECT_EQ(times.kernels, 1);
  EXPECT_EQ(times.sets, 1);
}

TEST(Attribution, DevicesAreSummedAndDoNotHideEachOther) {
  Activity elsewhere = kernel(1, 12, 18);
  elsewhere.device = 1;
  const RangeTimes times =
      attribute(log_of({kernel(1, 10, 11), elsewhere, kernel(1, 19, 20)})).ranges.at(1);
  EXPECT_EQ(times.busy, Duration(2 + 6));
  EXPECT_EQ(times.gaps, Duration(8));
}

TEST(Attribution, WorkWithoutARangeIsReported) {
  const Attribution found =
      attribute(log_of({kernel(0, 10, 20), kernel(0, 15, 30), kernel(3, 1, 2)}));
  EXPECT_EQ(found.unattributed.kernels, 2);
  EXPECT_EQ(found.unattributed.busy, Duration(20));
  EXPECT_EQ(found.ranges.size(), 1U);
  EXPECT_FALSE(found.ranges.contains(0));
}

TEST(Attribution, OverheadWithinARangeMarksIt) {
  ActivityLog log = log_of({kernel(1, 10, 20), kernel(1, 30, 40), kernel(2, 50, 60)});
  log.overheads = {{5, 12}, {38, 45}};
  const Attribution found = attribute(log);
  EXPECT_EQ(found.ranges.at(1).overhead, Duration(2 + 2));
  EXPECT_EQ(found.ranges.at(2).overhead, Duration(0));
}

TEST(Attribution, ALaunchInAnotherRangesWindowOnlyIsMismatched) {
  const std::vector<LaunchWindow> windows{{1, 100, 200}, {2, 150, 300}, {1, 400, 500}};
  const auto mismatched = [&](std::uint64_t range, std::int64_t launch) {
    return attribute(log_of({launched(kernel(range, 900, 910), launch)}), windows).mismatched;
  };
  EXPECT_EQ(mismatched(1, 99), 0);   // in no window
  EXPECT_EQ(mismatched(1, 100), 0);  // in its own
  EXPECT_EQ(mismatched(2, 100), 1);
  EXPECT_EQ(mismatched(1, 150), 0);  // in both
  EXPECT_EQ(mismatched(1, 200), 1);  // its own has ended
  EXPECT_EQ(mismatched(2, 300), 0);
  EXPECT_EQ(mismatched(1, 450), 0);  // in its second
  EXPECT_EQ(mismatched(3, 450), 1);  // has none of its own
}

TEST(Attribution, AnActivityWithoutAnIdGoesWhereItWasLaunched) {
  const std::vector<LaunchWindow> windows{{1, 100, 200}, {2, 150, 300}};
  const Attribution found =
      attribute(log_of({launched(kernel(0, 500, 510), 120), launched(kernel(0, 520, 530), 160),
                        launched(kernel(0, 540, 550), 250), launched(kernel(0, 560, 570), 350),
                        kernel(0, 580, 590), launched(kernel(1, 600, 610), 120)}),
                windows);
  EXPECT_EQ(found.by_launch, 2);
  EXPECT_EQ(found.ambiguous, 1);
  EXPECT_EQ(found.mismatched, 0);
  EXPECT_EQ(found.ranges.at(1).kernels, 2);
  EXPECT_EQ(found.ranges.at(1).by_launch, 1);
  EXPECT_EQ(found.ranges.at(2).kernels, 1);
  EXPECT_EQ(found.ranges.at(2).by_launch, 1);
  EXPECT_EQ(found.unattributed.kernels, 3);
}

TEST(ActivityTotals, SayWhereIdsAndLaunchesDisagreeAndWhatBelongsToNothing) {
  const std::vector<LaunchWindow> windows{{1, 100, 200}, {2, 150, 300}};
  ActivityLog log =
      log_of({launched(kernel(1, 500, 530), 120), launched(kernel(2, 530, 560), 110),
              launched(kernel(0, 560, 590), 160), launched(kernel(0, 590, 600), 250)});
  log.dropped = 3;
  ActivityTotals totals;
  totals.add(log, attribute(log, windows), Duration(1000), Duration(1100), Duration(80));
  const ActivityFacts facts = totals.facts("; a buffer was cut");
  EXPECT_EQ(
      facts.source,
      "CUPTI activity records; a buffer was cut; mismatched cross-check: 1 of 4 records belong "
      "to one layer by their id and to another by the time of their launch; 1 of 4 records "
      "have no id and were launched while several layers were");
  EXPECT_DOUBLE_EQ(facts.mismatched, 0.25);
  EXPECT_DOUBLE_EQ(facts.by_launch, 0.25);
  EXPECT_DOUBLE_EQ(facts.unattributed, 0.3);
  EXPECT_DOUBLE_EQ(facts.slow_down, 0.1);
  EXPECT_DOUBLE_EQ(facts.over_events.value(), 0.875);  // 30 + 30, and what has no id: 10.
  EXPECT_EQ(facts.dropped, 3);
}

TEST(ActivityTotals, SayNothingWhereAllAgrees) {
  const std::vector<LaunchWindow> windows{{1, 100, 200}};
  const ActivityLog log = log_of({launched(kernel(1, 500, 530), 120)});
  ActivityTotals totals;
  totals.add(log, attribute(log, windows), Duration(1000), Duration(900), Duration(30));
  EXPECT_EQ(totals.facts("").over_events, 1);
  EXPECT_FALSE(ActivityTotals().facts("").over_events);
  EXPECT_EQ(totals.facts("").source, "CUPTI activity records");
  EXPECT_EQ(totals.facts("").slow_down, 0);
  EXPECT_EQ(ActivityTotals().facts("").unattributed, 0);
}

TEST(Attribution, AWindowWithoutRangeOrWithItsEndFirstIsRefused) {
  const std::vector<LaunchWindow> nobody{{0, 1, 2}}, reversed{{1, 2, 1}};
  EXPECT_NE(error_of([&] { attribute({}, nobody); }), "no error");
  EXPECT_NE(error_of([&] { attribute({}, reversed); }), "no error");
}

TEST(Attribution, TimesNearTheEndOfTheClockDoNotOverflow) {
  const std::int64_t last = std::numeric_limits<std::int64_t>::max();
  const RangeTimes times =
      attribute(log_of({kernel(1, 1, 2), kernel(1, last - 1, last)})).ranges.at(1);
  EXPECT_EQ(times.busy, Duration(2));
  EXPECT_EQ(times.gaps, Duration(last - 3));
}

/// One bit per nanosecond.
using Bitmap = std::bitset<300>;

void fill(Bitmap& bitmap, const Activity& activity) {
  for (auto at = activity.start_ns; at < activity.end_ns; ++at) {
    bitmap.set(static_cast<std::size_t>(at));
  }
}

ActivityLog random_log(std::mt19937_64& random) {
  const auto below = [&](int limit) {
    return std::uniform_int_distribution<int>(0, limit - 1)(random);
  };
  std::vector<Activity> activities;
  for (int i = below(40); i > 0; --i) {
    const int start = 1 + below(250);
    Activity activity = kernel(static_cast<std::uint64_t>(below(4)), start, start + below(40));
    activity.kind = static_cast<ActivityKind>(below(3));
    activity.direction = static_cast<CopyDirection>(below(4));
    activity.device = static_cast<std::uint32_t>(below(2));
    activities.push_back(activity);
  }
  return log_of(activities);
}

void expect_as_counted(const ActivityLog& log, std::uint64_t range, const RangeTimes& times) {
  Duration busy{}, waiting{}, gaps{};
  for (const std::uint32_t device : {0U, 1U}) {
    Bitmap work, any;
    for (const Activity& activity : log.activities) {
      if (activity.device == device) fill(any, activity);
    }
    const Activity* before = nullptr;
    std::int64_t end = 0;  // Of all work before.
    for (const Activity& activity : log.activities) {
      if (activity.device != device || activity.kind == ActivityKind::kCopy) continue;
      if (activity.range == range) fill(work, activity);
      const bool follows = before != nullptr && before->range == range && activity.range == range;
      for (auto at = end; follows && at < activity.start_ns; ++at) {
        waiting += Duration(1);
        if (!any.test(static_cast<std::size_t>(at))) gaps += Duration(1);
      }
      end = std::max(end, activity.end_ns);
      before = &activity;
    }
    busy += Duration(work.count());
  }
  EXPECT_EQ(times.busy, busy);
  EXPECT_EQ(times.waiting, waiting);
  EXPECT_EQ(times.gaps, gaps);
}

TEST(Attribution, AgreesWithCountingNanosecondByNanosecond) {
  std::mt19937_64 random(20240611);
  for (int round = 0; round < 500; ++round) {
    const ActivityLog log = random_log(random);
    const Attribution found = attribute(log);
    SCOPED_TRACE(round);
    expect_as_counted(log, 0, found.unattributed);
    std::size_t counted = 0;
    const auto count = [&](const RangeTimes& times) {
      counted += static_cast<std::size_t>(times.kernels + times.sets);
      for (const auto& [copy_class, totals] : times.copies) {
        counted += static_cast<std::size_t>(totals.count);
      }
    };
    count(found.unattributed);
    for (const auto& [range, times] : found.ranges) {
      expect_as_counted(log, range, times);
      count(times);
    }
    EXPECT_EQ(counted, log.activities.size());
  }
}

/// The same windows, looked at one by one.
TEST(Attribution, FindsWindowsAsASearchOfAllDoes) {
  std::mt19937_64 random(7);
  const auto below = [&](std::int64_t limit) {
    return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random);
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<LaunchWindow> windows;
    for (auto i = below(12); i > 0; --i) {
      const std::int64_t begin = 1 + below(100);
      windows.push_back({static_cast<std::uint64_t>(1 + below(3)), begin, begin + below(60)});
    }
    const std::int64_t at = 1 + below(170);
    std::vector<bool> holds(4);
    int holding = 0;
    for (const LaunchWindow& window : windows) {
      if (window.begin_ns > at || at >= window.end_ns || holds[window.range]) continue;
      holds[window.range] = true;
      ++holding;
    }
    const Attribution found = attribute(
        log_of({launched(kernel(0, 500, 510), at), launched(kernel(2, 520, 530), at)}), windows);
    EXPECT_EQ(found.by_launch, holding == 1 ? 1 : 0);
    EXPECT_EQ(found.ambiguous, holding > 1 ? 1 : 0);
    EXPECT_EQ(found.mismatched, holding > 0 && !holds[2] ? 1 : 0);
  }
}

}  // namespace
}  // namespace shardlab
