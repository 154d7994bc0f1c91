#include "profiler/activity_session.h"

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/mock_cupti.h"

namespace shardlab {
namespace {

/// A session with a range and a record.
ActivityLog record_once(ActivitySession& session, const MockCupti& cupti) {
  session.start();
  session.push_range(7);
  if (session.recording()) cupti.record(1);
  session.pop_range();
  return session.stop();
}

TEST(ActivitySession, TurnsKindsOnAfterTheCallbacksAndOffBeforeItFlushes) {
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  const ActivityLog log = record_once(session, *cupti);
  std::vector<std::string> expected{"subscribe", "promise", "register"};
  expected.insert(expected.end(), 8, "enable");
  expected.insert(expected.end(), {"push", "pop"});
  expected.insert(expected.end(), 8, "disable");
  expected.insert(expected.end(), {"flush", "dropped", "unsubscribe"});
  EXPECT_EQ(cupti->calls, expected);
  EXPECT_EQ(log.activities.size(), 1U);
  EXPECT_FALSE(log.incomplete);
  EXPECT_TRUE(log.problems.empty());
}

TEST(ActivitySession, TurnsRangesOnOnlyAfterTheCallsThatCarryThem) {
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  session.start();
  const std::vector<RecordKind> expected{RecordKind::kKernel,      RecordKind::kCopy,
                                         RecordKind::kPeerCopy,    RecordKind::kSet,
                                         RecordKind::kRuntimeCall, RecordKind::kDriverCall,
                                         RecordKind::kRange,       RecordKind::kOverhead};
  EXPECT_EQ(cupti->enabled, expected);
}

TEST(ActivitySession, OutlivesTheFailureOfAnyCallAndSaysSo) {
  constexpr std::size_t kCalls = 24;
  for (std::size_t fail_at = 1; fail_at <= kCalls; ++fail_at) {
    const auto cupti = std::make_shared<MockCupti>();
    cupti->fail_at = fail_at;
    ActivitySession session(cupti, kSmall);
    const ActivityLog log = record_once(session, *cupti);
    const std::string failed = cupti->calls.at(fail_at - 1);
    SCOPED_TRACE(failed + ", call " + std::to_string(fail_at));
    ASSERT_EQ(log.problems.size(), 1U);
    const bool marks_range = failed == "push" || failed == "pop";
    EXPECT_EQ(log.range_errors, marks_range ? 1 : 0);
    EXPECT_EQ(log.incomplete, !marks_range && failed != "promise");
    EXPECT_NE(log.problems[0].find(marks_range ? "1 calls failed" : ": result 999"),
              std::string::npos)
        << log.problems[0];
    EXPECT_EQ(cupti->enabled.size(), failed == "disable" ? 1U : 0U);
    EXPECT_EQ(cupti->subscribed, failed == "unsubscribe");

    const ActivityLog again = record_once(session, *cupti);
    EXPECT_EQ(again.activities.size(), 1U);
    EXPECT_FALSE(again.incomplete);
    EXPECT_TRUE(again.problems.empty());
  }
}

TEST(ActivitySession, UndoesOnlyWhatItDid) {
  const auto cupti = std::make_shared<MockCupti>();
  cupti->fail_at = 6;  // the third kind
  ActivitySession session(cupti, kSmall);
  session.start();
  EXPECT_FALSE(session.recording());
  EXPECT_EQ(cupti->calls, (std::vector<std::string>{"subscribe", "promise", "register", "enable",
                                                    "enable", "enable", "disable", "disable",
                                                    "flush", "dropped", "unsubscribe"}));
  const ActivityLog log = session.stop();
  ASSERT_EQ(log.problems.size(), 1U);
  EXPECT_EQ(log.problems[0], "cuptiActivityEnable(MEMCPY2): result 999");
}

TEST(ActivitySession, ASessionThatWasNotStartedSaysSo) {
  ActivitySession session(std::make_shared<MockCupti>(), kSmall);
  const ActivityLog log = session.stop();
  EXPECT_TRUE(log.incomplete);
  EXPECT_EQ(log.problems, std::vector<std::string>{"the session was not started"});
}

TEST(ActivitySession, OfTwoAtATimeOnlyTheFirstRecords) {
  const auto cupti = std::make_shared<MockCupti>();
  const auto other = std::make_shared<MockCupti>();
  ActivitySession first(cupti, kSmall);
  first.start();
  {
    ActivitySession second(other, kSmall);
    second.start();
    EXPECT_FALSE(second.recording());
    EXPECT_TRUE(second.stop().incomplete);
    EXPECT_TRUE(other->calls.empty());
  }
  cupti->record(1);
  EXPECT_EQ(first.stop().activities.size(), 1U);
}

TEST(ActivitySession, DroppedRecordsMakeTheLogIncomplete) {
  const auto cupti = std::make_shared<MockCupti>();
  cupti->dropped = 3;
  ActivitySession session(cupti, kSmall);
  const ActivityLog log = record_once(session, *cupti);
  EXPECT_EQ(log.dropped, 3);
  EXPECT_TRUE(log.incomplete);
}

TEST(ActivitySession, ACounterOfDroppedRecordsThatOverflowedStaysACount) {
  const auto cupti = std::make_shared<MockCupti>();
  cupti->dropped = std::numeric_limits<std::size_t>::max();  // -1, had it been taken as signed.
  ActivitySession session(cupti, kSmall);
  const ActivityLog log = record_once(session, *cupti);
  EXPECT_GT(log.dropped, std::int64_t{1} << 60);
  EXPECT_TRUE(log.incomplete);
}

TEST(ActivitySession, APushThatFailedHasNoPopThatEndsTheRangeAroundIt) {
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  session.start();
  session.push_range(1);
  cupti->fail_at = cupti->calls.size() + 1;
  session.push_range(2);
  session.push_range(3);  // within what failed: left out too
  session.pop_range();
  session.pop_range();
  EXPECT_EQ(cupti->ranges, std::vector<std::uint64_t>{1});
  session.push_range(4);
  EXPECT_EQ(cupti->ranges, (std::vector<std::uint64_t>{1, 4}));
  session.pop_range();
  session.pop_range();
  EXPECT_TRUE(cupti->ranges.empty());
  EXPECT_EQ(session.stop().range_errors, 2);
}

TEST(ActivitySession, BuffersOfManyThreadsAreAllTheirOwnAndNoneIsLost) {
  constexpr int kThreads = 4, kEach = 25, kHeld = 5;  // 20 are out at once, 8 were made before
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  session.start();
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kEach; i += kHeld) {
          std::vector<std::uint8_t*> held;
          for (int k = 0; k < kHeld; ++k) held.push_back(cupti->ask());
          for (std::uint8_t* buffer : held) std::memset(buffer, thread + 1, kSmall.bytes);
          for (std::uint8_t* buffer : held) cupti->give(buffer, kSmall.bytes);
          session.push_range(1);
          session.pop_range();
        }
      });
    }
  }
  const ActivityLog log = session.stop();
  std::vector<std::size_t> bytes(kThreads + 1);
  for (const Activity& activity : log.activities)
    ++bytes.at(static_cast<std::size_t>(activity.bytes));
  EXPECT_EQ(bytes[0], 0U);
  for (int thread = 1; thread <= kThreads; ++thread) {
    EXPECT_EQ(bytes[static_cast<std::size_t>(thread)], kEach * kSmall.bytes);
  }
  EXPECT_EQ(log.range_errors, 0);
}

TEST(ActivitySession, ABufferIsNeverRefusedAndALateOneIsReported) {
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  session.start();
  std::uint8_t* late = cupti->ask();
  EXPECT_TRUE(session.stop().activities.empty());
  std::uint8_t* between = cupti->ask();
  ASSERT_NE(between, nullptr);
  late[0] = 9;
  cupti->give(late, 1);
  cupti->give(between, 0);  // empty: nothing is lost
  const ActivityLog next = record_once(session, *cupti);
  EXPECT_EQ(next.activities.size(), 1U);
  EXPECT_EQ(next.problems,
            std::vector<std::string>{"1 buffers came after the session before this"});
}

TEST(ActivitySession, ABufferThatCuptiKeptServesTheNextSession) {
  const auto cupti = std::make_shared<MockCupti>();
  ActivitySession session(cupti, kSmall);
  session.start();
  std::uint8_t* kept = cupti->ask();
  EXPECT_TRUE(session.stop().activities.empty());
  session.start();
  kept[0] = 5;
  cupti->give(kept, 1);
  const ActivityLog log = session.stop();
  ASSERT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.activities[0].bytes, 5);
}

TEST(ActivitySession, WithoutADriverOpeningSaysWhatIsMissing) {
  std::string problem;
  const auto session = ActivitySession::open(problem);
  EXPECT_EQ(session == nullptr, !problem.empty()) << problem;
}

}  // namespace
}  // namespace shardlab
