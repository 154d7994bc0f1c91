#include "profiler/activity_parser.h"

#include <gtest/gtest.h>

#ifdef SHARDLAB_CUPTI

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <cupti.h>

#include "core/shared_library.h"
#include "profiler/cupti_libraries.h"

namespace shardlab {
namespace {

constexpr std::uint64_t kLastTime = std::numeric_limits<std::int64_t>::max();

// As the library of the same version writes it; the other records are alike in CUDA 12.9 and 13.
#if CUPTI_API_VERSION >= 130000
using NewestKernel = CUpti_ActivityKernel10;
#else
using NewestKernel = CUpti_ActivityKernel9;
#endif

/// Records one behind the other, as CUPTI leaves them.
class Records {
 public:
  template <typename Record>
  Records& add(const Record& record) {
    static_assert(sizeof(Record) % 8 == 0);
    const std::size_t end = words_.size();
    words_.resize(end + sizeof(Record) / 8);
    std::memcpy(words_.data() + end, &record, sizeof(Record));
    return *this;
  }
  void append(const Records& more) {
    words_.insert(words_.end(), more.words_.begin(), more.words_.end());
  }
  /// `cut`: bytes missing at the end.
  RecordBuffer buffer(std::size_t cut = 0) {
    return {reinterpret_cast<std::uint8_t*>(words_.data()), words_.size() * 8 - cut};
  }

 private:
  std::vector<std::uint64_t> words_;
};

template <typename Record>
Record work(CUpti_ActivityKind kind, std::uint32_t correlation, std::uint64_t start,
            std::uint64_t end) {
  Record record{};
  record.kind = kind;
  record.start = start;
  record.end = end;
  record.deviceId = 1;
  record.contextId = 2;
  record.streamId = 7;
  record.correlationId = correlation;
  return record;
}

auto kernel(std::uint32_t correlation, std::uint64_t start, std::uint64_t end) {
  auto record = work<NewestKernel>(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, correlation, start, end);
  record.completed = end + 1;
  record.name = "gemm";
  return record;
}

auto copy(std::uint32_t correlation, int direction, int from, int to) {
  auto record = work<CUpti_ActivityMemcpy6>(CUPTI_ACTIVITY_KIND_MEMCPY, correlation, 10, 20);
  record.copyKind = static_cast<std::uint8_t>(direction);
  record.srcKind = static_cast<std::uint8_t>(from);
  record.dstKind = static_cast<std::uint8_t>(to);
  record.bytes = 4096;
  return record;
}

auto call(CUpti_ActivityKind kind, std::uint32_t correlation, std::uint64_t start,
          std::uint64_t end) {
  CUpti_ActivityAPI record{};
  record.kind = kind;
  record.correlationId = correlation;
  record.start = start;
  record.end = end;
  return record;
}

auto range(std::uint32_t correlation, std::uint64_t id,
           CUpti_ExternalCorrelationKind kind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0) {
  CUpti_ActivityExternalCorrelation record{};
  record.kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
  record.externalKind = kind;
  record.externalId = id;
  record.correlationId = correlation;
  return record;
}

auto overhead(std::uint64_t start, std::uint64_t end) {
  CUpti_ActivityOverhead3 record{};
  record.kind = CUPTI_ACTIVITY_KIND_OVERHEAD;
  record.overheadKind = CUPTI_ACTIVITY_OVERHEAD_CUPTI_INSTRUMENTATION;
  record.start = start;
  record.end = end;
  return record;
}

/// Over the real parser of CUPTI, which needs no driver.
class ActivityParser : public testing::Test {
 protected:
  void SetUp() override {
    if (!library_.open()) GTEST_SKIP() << "no CUPTI library: " << library_.problem();
    std::uint32_t version = 0;
    ASSERT_TRUE(library_.call("cuptiGetVersion", &version));
    if (version / 10'000 != CUPTI_API_VERSION / 10'000) {
      GTEST_SKIP() << "the library's CUPTI is " << version << ", the headers are of "
                   << CUPTI_API_VERSION;
    }
    next_ = library_.find<AnyFunction>("cuptiActivityGetNextRecord");
    ASSERT_NE(next_, nullptr);
  }

  ActivityLog parse(const std::vector<RecordBuffer>& buffers) {
    return parse_activities(buffers, next_);
  }
  ActivityLog parse(Records& records) { return parse({records.buffer()}); }

 private:
  SharedLibrary library_{cupti_libraries(), SharedLibrary::Stay::kForGood};
  AnyFunction* next_ = nullptr;
};

TEST_F(ActivityParser, AKernelIsJoinedWithItsRangeAndItsLaunch) {
  Records records;
  records.add(range(5, 42)).add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 5, 90, 95));
  const ActivityLog log = parse(records.add(kernel(5, 100, 150)));
  ASSERT_EQ(log.activities.size(), 1U);
  const Activity& found = log.activities[0];
  EXPECT_EQ(found.kind, ActivityKind::kKernel);
  EXPECT_EQ(found.name, "gemm");
  EXPECT_EQ(found.device, 1U);
  EXPECT_EQ(found.context, 2U);
  EXPECT_EQ(found.stream, 7U);
  EXPECT_EQ(found.correlation, 5U);
  EXPECT_EQ(found.range, 42U);
  EXPECT_EQ(found.start_ns, 100);
  EXPECT_EQ(found.end_ns, 150);
  EXPECT_EQ(found.launch_start_ns, 90);
  EXPECT_EQ(found.launch_end_ns, 95);
  EXPECT_FALSE(log.incomplete);
  EXPECT_TRUE(log.problems.empty());
}

TEST_F(ActivityParser, ABufferMayHoldTheKernelAndALaterOneItsLaunch) {
  Records kernels, calls, ranges;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    kernels.add(kernel(i, 1000 - i, 2000));
    calls.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, i, i, i + 1));
    ranges.add(range(i, 10 * i));
  }
  std::vector<RecordBuffer> buffers{kernels.buffer(), ranges.buffer(), calls.buffer()};
  std::vector<int> order{0, 1, 2};
  do {
    const ActivityLog log = parse({buffers[static_cast<std::size_t>(order[0])],
                                   buffers[static_cast<std::size_t>(order[1])],
                                   buffers[static_cast<std::size_t>(order[2])]});
    ASSERT_EQ(log.activities.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {  // by start: the last correlation first
      EXPECT_EQ(log.activities[i].correlation, 3 - i);
      EXPECT_EQ(log.activities[i].range, 10 * (3 - i));
      EXPECT_EQ(log.activities[i].launch_start_ns, 3 - i);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ActivityParser, CopiesTellTheirDirectionAndWhetherTheHostsSideIsPinned) {
  const auto pinned = CUPTI_ACTIVITY_MEMORY_KIND_PINNED;
  const auto pageable = CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE;
  const auto device = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
  Records records;
  records.add(copy(1, CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, pinned, device));
  records.add(copy(2, CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, pageable, device));
  records.add(copy(3, CUPTI_ACTIVITY_MEMCPY_KIND_DTOH, device, pinned));
  records.add(copy(4, CUPTI_ACTIVITY_MEMCPY_KIND_DTOH, device, pageable));
  records.add(copy(5, CUPTI_ACTIVITY_MEMCPY_KIND_DTOD, device, device));
  const ActivityLog log =
      parse(records.add(copy(6, CUPTI_ACTIVITY_MEMCPY_KIND_HTOH, pinned, pinned)));
  const std::vector<std::pair<CopyDirection, bool>> expected{
      {CopyDirection::kHostToDevice, true},    {CopyDirection::kHostToDevice, false},
      {CopyDirection::kDeviceToHost, true},    {CopyDirection::kDeviceToHost, false},
      {CopyDirection::kDeviceToDevice, false}, {CopyDirection::kOther, false}};
  ASSERT_EQ(log.activities.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(log.activities[i].kind, ActivityKind::kCopy);
    EXPECT_EQ(log.activities[i].direction, expected[i].first) << i;
    EXPECT_EQ(log.activities[i].pinned, expected[i].second) << i;
    EXPECT_EQ(log.activities[i].bytes, 4096);
  }
}

TEST_F(ActivityParser, CopiesBetweenDevicesSetsAndTheOldKernelKindAreRead) {
  auto peer = work<CUpti_ActivityMemcpyPtoP4>(CUPTI_ACTIVITY_KIND_MEMCPY2, 1, 10, 20);
  peer.bytes = 512;
  auto set = work<CUpti_ActivityMemset4>(CUPTI_ACTIVITY_KIND_MEMSET, 2, 30, 35);
  set.bytes = 64;
  auto old = kernel(3, 40, 50);
  old.kind = CUPTI_ACTIVITY_KIND_KERNEL;
  old.name = nullptr;
  Records records;
  const ActivityLog log = parse(records.add(range(1, 8)).add(peer).add(set).add(old));
  ASSERT_EQ(log.activities.size(), 3U);
  EXPECT_EQ(log.activities[0].direction, CopyDirection::kDeviceToDevice);
  EXPECT_EQ(log.activities[0].bytes, 512);
  EXPECT_EQ(log.activities[0].range, 8U);
  EXPECT_EQ(log.activities[1].kind, ActivityKind::kSet);
  EXPECT_EQ(log.activities[1].bytes, 64);
  EXPECT_EQ(log.activities[2].kind, ActivityKind::kKernel);
  EXPECT_EQ(log.activities[2].name, "");
}

TEST_F(ActivityParser, TheRuntimesCallAroundTheDriversIsTheLaunch) {
  Records records;
  records.add(call(CUPTI_ACTIVITY_KIND_DRIVER, 1, 12, 14));
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 1, 10, 20)).add(kernel(1, 30, 40));
  records.add(call(CUPTI_ACTIVITY_KIND_INTERNAL_LAUNCH_API, 2, 22, 24));
  const ActivityLog log = parse(records.add(kernel(2, 50, 60)));
  ASSERT_EQ(log.activities.size(), 2U);
  EXPECT_EQ(log.activities[0].launch_start_ns, 10);
  EXPECT_EQ(log.activities[0].launch_end_ns, 20);
  EXPECT_EQ(log.activities[1].launch_start_ns, 22);
}

TEST_F(ActivityParser, IdsOfAnotherProfilerAreNoRanges) {
  Records records;
  records.add(range(1, 9, CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM1)).add(range(1, 3));
  records.add(range(1, 9, CUPTI_EXTERNAL_CORRELATION_KIND_UNKNOWN));
  EXPECT_EQ(parse(records.add(kernel(1, 10, 20))).activities.at(0).range, 3U);
}

TEST_F(ActivityParser, TimesThatAreNoneAreCountedAndLeftOut) {
  Records records;
  records.add(kernel(1, 0, 20)).add(kernel(2, 10, 0)).add(kernel(3, 20, 19)).add(kernel(4, 0, 0));
  records.add(kernel(5, 10, kLastTime + 1)).add(kernel(6, kLastTime + 1, kLastTime + 2));
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 7, 0, 0)).add(overhead(0, 5));
  const ActivityLog log = parse(records.add(kernel(7, 10, 10)));
  ASSERT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.activities[0].correlation, 7U);
  EXPECT_EQ(log.activities[0].launch_start_ns, 0);
  EXPECT_EQ(log.bad_times, 6);
  EXPECT_EQ(log.bad_host_times, 2);
  EXPECT_EQ(log.overhead_ns, 0);
  EXPECT_TRUE(log.incomplete);
  EXPECT_EQ(log.problems.size(), 2U);
}

TEST_F(ActivityParser, AStartBeforeItsOwnLaunchIsCountedAndLeftOut) {
  Records records;
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 1, 100, 110)).add(kernel(1, 99, 150));
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 2, 100, 110)).add(kernel(2, 100, 150));
  const ActivityLog log = parse(records);
  ASSERT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.activities[0].correlation, 2U);
  EXPECT_EQ(log.early_starts, 1);
  EXPECT_TRUE(log.incomplete);
}

TEST_F(ActivityParser, TheLargestIdsAndTimesStayExact) {
  const std::uint32_t last = std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t last_id = std::numeric_limits<std::uint64_t>::max();
  Records records;
  records.add(range(last, last_id));
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, last, kLastTime - 4, kLastTime - 3));
  const ActivityLog log =
      parse(records.add(kernel(last, kLastTime - 1, kLastTime)).add(overhead(1, kLastTime)));
  ASSERT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.activities[0].correlation, last);
  EXPECT_EQ(log.activities[0].range, last_id);
  EXPECT_EQ(log.activities[0].end_ns, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(log.activities[0].launch_start_ns, std::numeric_limits<std::int64_t>::max() - 4);
  EXPECT_EQ(log.overhead_ns, std::numeric_limits<std::int64_t>::max() - 1);
}

TEST_F(ActivityParser, ACounterOfCallsThatCameRoundLeavesItsWorkToNobody) {
  Records records;
  records.add(range(5, 41)).add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 5, 10, 20));
  records.add(kernel(5, 30, 40));
  records.add(range(5, 42)).add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 5, 1010, 1020));
  records.add(kernel(5, 1030, 1040));
  // Two of the driver's within one of the runtime's: no reuse.
  records.add(range(6, 43)).add(call(CUPTI_ACTIVITY_KIND_DRIVER, 6, 1051, 1053));
  records.add(call(CUPTI_ACTIVITY_KIND_DRIVER, 6, 1054, 1056)).add(kernel(6, 1060, 1070));
  records.add(call(CUPTI_ACTIVITY_KIND_RUNTIME, 6, 1050, 1090));
  const ActivityLog log = parse(records);
  ASSERT_EQ(log.activities.size(), 3U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(log.activities[i].range, 0U);
    EXPECT_EQ(log.activities[i].launch_start_ns, 0);
  }
  EXPECT_EQ(log.activities[2].range, 43U);
  EXPECT_EQ(log.reused_ids, 2);
  EXPECT_TRUE(log.incomplete);
  ASSERT_EQ(log.problems.size(), 1U);
  EXPECT_TRUE(log.problems[0].starts_with("2 activities belong to nobody: CUPTI's counter"));
}

TEST_F(ActivityParser, BytesThatOverflowAreCountedAndLeftOut) {
  auto large = copy(1, CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, 1, 3);
  auto larger = large;
  large.bytes = kLastTime;  // 2^63 - 1
  larger.bytes = kLastTime + 1;
  auto peer = work<CUpti_ActivityMemcpyPtoP4>(CUPTI_ACTIVITY_KIND_MEMCPY2, 2, 10, 20);
  auto set = work<CUpti_ActivityMemset4>(CUPTI_ACTIVITY_KIND_MEMSET, 3, 30, 35);
  peer.bytes = set.bytes = std::numeric_limits<std::uint64_t>::max();
  Records records;
  const ActivityLog log = parse(records.add(large).add(larger).add(peer).add(set));
  ASSERT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.activities[0].bytes, std::numeric_limits<Bytes>::max());
  EXPECT_EQ(log.bad_sizes, 3);
  EXPECT_TRUE(log.incomplete);
}

/// What the next test compares: of each activity kind, correlation, range, start, end, start and
/// end of its launch, bytes, direction and name; overheads and activities without times.
std::string text(const ActivityLog& log) {
  std::string result;
  for (const Activity& a : log.activities) {
    for (const std::int64_t value :
         {std::int64_t{static_cast<int>(a.kind)}, std::int64_t{a.correlation},
          static_cast<std::int64_t>(a.range), a.start_ns, a.end_ns, a.launch_start_ns,
          a.launch_end_ns, a.bytes, std::int64_t{static_cast<int>(a.direction)}}) {
      result += std::to_string(value) + " ";
    }
    result += a.name + "\n";
  }
  return result + std::to_string(log.overhead_ns) + " " + std::to_string(log.bad_times);
}

TEST_F(ActivityParser, AnyOrderAndAnySplitOverBuffersGiveTheSameLog) {
  std::vector<Records> single;  // Of every kind.
  const auto each = [&](const auto& record) { single.emplace_back().add(record); };
  for (std::uint32_t i = 1; i <= 4; ++i) {
    each(range(i, 100 + i));
    each(call(CUPTI_ACTIVITY_KIND_RUNTIME, i, 10 * i, 10 * i + 5));
    each(call(CUPTI_ACTIVITY_KIND_DRIVER, i, 10 * i + 1, 10 * i + 7));
  }
  each(call(CUPTI_ACTIVITY_KIND_INTERNAL_LAUNCH_API, 5, 70, 71));
  each(kernel(1, 100, 200));
  auto old = kernel(2, 150, 160);
  old.kind = CUPTI_ACTIVITY_KIND_KERNEL;
  each(old);
  auto moved = copy(3, CUPTI_ACTIVITY_MEMCPY_KIND_DTOH, 3, 2);
  moved.start = 300;
  moved.end = 400;
  each(moved);
  each(work<CUpti_ActivityMemcpyPtoP4>(CUPTI_ACTIVITY_KIND_MEMCPY2, 4, 310, 330));
  each(work<CUpti_ActivityMemset4>(CUPTI_ACTIVITY_KIND_MEMSET, 5, 320, 350));
  each(kernel(6, 0, 50));
  each(overhead(1, 9));
  each(overhead(5, 15));
  const std::string expected =
      "0 1 101 100 200 10 17 0 3 gemm\n"
      "0 2 102 150 160 20 27 0 3 gemm\n"
      "1 3 103 300 400 30 37 4096 1 \n"
      "1 4 104 310 330 40 47 0 2 \n"
      "2 5 0 320 350 70 71 0 3 \n"
      "14 1";
  std::mt19937 draw(1);
  for (int round = 0; round < 200; ++round) {
    std::ranges::shuffle(single, draw);
    std::vector<Records> buffers(1);
    for (const Records& record : single) {
      if (draw() % 4 == 0) buffers.emplace_back();
      buffers.back().append(record);
    }
    std::vector<RecordBuffer> all;
    for (Records& buffer : buffers) all.push_back(buffer.buffer());
    ASSERT_EQ(text(parse(all)), expected) << round;
  }
}

TEST_F(ActivityParser, EveryCutWithinTheLastRecordIsFoundWhateverItsKind) {
  const auto expect_found = [&](const auto& record) {
    Records records;
    records.add(kernel(1, 10, 20)).add(record);
    for (std::size_t cut = 1; cut < sizeof(record); ++cut) {
      const ActivityLog log = parse({records.buffer(cut)});
      ASSERT_EQ(log.activities.size(), 1U) << cut;
      ASSERT_EQ(log.truncated_buffers, 1) << cut;
      ASSERT_EQ(log.unread_bytes, static_cast<std::int64_t>(sizeof(record) - cut)) << cut;
      ASSERT_TRUE(log.incomplete);
    }
    EXPECT_EQ(parse({records.buffer(sizeof(record))}).problems.size(), 0U);
  };
  expect_found(kernel(2, 30, 40));
  expect_found(copy(2, CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, 1, 3));
  expect_found(work<CUpti_ActivityMemcpyPtoP4>(CUPTI_ACTIVITY_KIND_MEMCPY2, 2, 10, 20));
  expect_found(work<CUpti_ActivityMemset4>(CUPTI_ACTIVITY_KIND_MEMSET, 2, 10, 20));
  expect_found(call(CUPTI_ACTIVITY_KIND_DRIVER, 2, 5, 6));
  expect_found(range(2, 1));
  expect_found(overhead(1, 2));
}

TEST_F(ActivityParser, ABufferThatIsCutTenBytesShortLosesItsLastRecordOnly) {
  Records cut, whole;
  for (std::uint32_t i = 1; i <= 10; ++i) cut.add(kernel(i, 10, 20));
  whole.add(kernel(11, 10, 20));
  const ActivityLog log = parse({cut.buffer(10), whole.buffer()});
  EXPECT_EQ(log.activities.size(), 10U);
  EXPECT_EQ(log.truncated_buffers, 1);
  EXPECT_EQ(log.unread_bytes, static_cast<std::int64_t>(sizeof(NewestKernel)) - 10);
}

TEST_F(ActivityParser, JunkEndsItsBufferAndNoOther) {
  Records junk, good;
  junk.add(kernel(1, 10, 20)).add(std::array<std::uint32_t, 4>{77, 77, 77, 77});
  junk.add(kernel(2, 10, 20));
  good.add(kernel(3, 10, 20));
  const ActivityLog log = parse({junk.buffer(), good.buffer()});
  ASSERT_EQ(log.activities.size(), 2U);
  EXPECT_EQ(log.activities[0].correlation, 1U);
  EXPECT_EQ(log.activities[1].correlation, 3U);
  EXPECT_EQ(log.unknown_kinds, 1);
  EXPECT_EQ(log.truncated_buffers, 0);
  EXPECT_EQ(log.unread_bytes, 16 + static_cast<std::int64_t>(sizeof(NewestKernel)));
  EXPECT_TRUE(log.incomplete);
}

TEST_F(ActivityParser, AKindThatNobodyAskedForIsCountedAndPassedOver) {
  CUpti_ActivityMarker2 marker{};
  marker.kind = CUPTI_ACTIVITY_KIND_MARKER;
  Records records;
  const ActivityLog log = parse(records.add(marker).add(kernel(1, 10, 20)));
  EXPECT_EQ(log.activities.size(), 1U);
  EXPECT_EQ(log.unknown_kinds, 1);
  EXPECT_EQ(log.problems.size(), 1U);
  EXPECT_FALSE(log.incomplete);
}

TEST_F(ActivityParser, OverheadsCountOnceAndTheirDetailsAreFreed) {
  auto full = overhead(35, 50);
  full.overheadKind = CUPTI_ACTIVITY_OVERHEAD_COMMAND_BUFFER_FULL;
  full.overheadData = std::malloc(16);  // AddressSanitizer sees it leak or be freed twice
  Records records, others;
  records.add(overhead(10, 20)).add(overhead(15, 30)).add(full);
  const ActivityLog log = parse({records.buffer(), others.add(overhead(40, 45)).buffer()});
  EXPECT_EQ(log.overhead_ns, 20 + 15);
  EXPECT_EQ(log.overheads, (std::vector<Interval>{{10, 30}, {35, 50}}));
}

TEST_F(ActivityParser, NothingIsNoProblem) {
  Records empty;
  const ActivityLog log = parse({empty.buffer(), empty.buffer()});
  EXPECT_TRUE(log.activities.empty());
  EXPECT_FALSE(log.incomplete);
  EXPECT_TRUE(log.problems.empty());
  EXPECT_FALSE(parse(std::vector<RecordBuffer>{}).incomplete);
}

}  // namespace
}  // namespace shardlab

#else

TEST(ActivityParser, ReadsRecords) { GTEST_SKIP() << "this build has no CUPTI headers"; }

#endif
