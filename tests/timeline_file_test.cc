#include "traces/timeline_file.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/broken_text.h"
#include "tests/error_of.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

std::string text() { return timeline_json(sample_timeline()); }

std::string error(const std::string& broken) {
  return error_of([&] { parse_timeline(broken); });
}

/// Many rows, as in a real run.
Timeline long_timeline(std::int64_t units) {
  Timeline timeline = sample_timeline();
  UnitSpan span = timeline.units[0];
  for (std::int64_t i = 0; i < units; ++i) {
    span.minibatch = i;
    span.claimed = span.reserved = span.arrived = span.from = at(20'000 + 10 * i);
    span.to = at(20'000 + 10 * i + 7);
    timeline.units.push_back(span);
  }
  return timeline;
}

TEST(TimelineFile, WritesTheDocumentedBytes) {
  EXPECT_EQ(text(), read_whole_file(source_file("examples/formats/timeline.json")));
}

TEST(TimelineFile, ReadsBackWhatWasWritten) {
  EXPECT_EQ(timeline_json(parse_timeline(text())), text());
  const std::string many = timeline_json(long_timeline(1'000));
  EXPECT_EQ(timeline_json(parse_timeline(many)), many);
  EXPECT_EQ(timeline_json(parse_timeline(timeline_json(Timeline{}))), timeline_json(Timeline{}));
}

TEST(TimelineFile, PutsEachFieldInItsPlace) {
  const Timeline read = read_timeline(source_file("examples/formats/timeline.json"));
  EXPECT_EQ(read.plan, "spill/lrtf");
  EXPECT_EQ(read.source, "simulated");
  EXPECT_EQ(read.jobs, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read.devices, (std::vector<std::string>{"cpu-0", "cpu-1"}));
  EXPECT_EQ(read.makespan, at(11'401));
  EXPECT_EQ(read.budget, (std::vector<Bytes>{1'000'000, kUnlimited}));
  EXPECT_EQ(read.peak, (std::vector<Bytes>{900'000, 1'300'000}));
  EXPECT_FALSE(read.interrupted);
  EXPECT_EQ(read.ends.at(1).reason, "loss is not a number");
  EXPECT_TRUE(read.ends.at(0).completed);
  EXPECT_EQ(read.ends.at(0).minibatches, 1);
}

TEST(TimelineFile, PutsEachColumnInItsPlace) {
  const Timeline read = parse_timeline(text());
  const UnitSpan& unit = read.units.at(1);
  EXPECT_EQ(unit.unit, 1u);
  EXPECT_EQ(unit.kind, UnitKind::kBackward);
  EXPECT_EQ(unit.device, DeviceId{1});
  EXPECT_EQ(unit.attempt, 1);
  EXPECT_EQ(unit.claim, 1);
  EXPECT_EQ(unit.claimed, at(4'000));
  EXPECT_EQ(unit.reserved, at(4'100));
  EXPECT_EQ(unit.arrived, at(5'300));
  EXPECT_EQ(unit.from, at(5'305));
  EXPECT_EQ(unit.to, at(9'001));
  EXPECT_EQ(unit.recompute, Duration{1'500});
  const CopySpan& copy = read.copies.at(2);
  EXPECT_EQ(copy.item, ItemKind::kState);
  EXPECT_EQ(copy.direction, Direction::kDemote);
  EXPECT_EQ(copy.bytes, 800'000);
  EXPECT_EQ(copy.asked, at(9'001));
  EXPECT_EQ(copy.link_from, at(9'401));
  EXPECT_EQ(copy.link_to, at(11'401));
  EXPECT_EQ(copy.lane_from, at(9'001));
  EXPECT_EQ(copy.lane_to, at(9'401));
  EXPECT_EQ(copy.done, at(11'401));
}

TEST(TimelineFile, FindsColumnsByName) {
  const std::string row = "[0,0,0,\"forward\",0,0,1,0,0,0,1200,1210,4000,0,0,0,0,0]";
  std::string other = replaced(text(), "\"kept\"]", "\"kept\", \"colour\"]");
  other = replaced(other, row, row.substr(0, row.size() - 1) + ",\"red\"]");
  const std::string second =
      "[0,1,0,\"backward\",0,1,1,1,4000,4100,5300,5305,9001,1500,0,0,4000,0]";
  other = replaced(other, second, second.substr(0, second.size() - 1) + ",\"blue\"]");
  EXPECT_EQ(timeline_json(parse_timeline(other)), text());
  EXPECT_EQ(error(replaced(text(), "\"recompute_ns\"", "\"again_ns\"")),
            "units: columns: recompute_ns: missing");
}

TEST(TimelineFile, AColumnThatCameLaterMayBeMissing) {
  std::string old = replaced(text(), ", \"ready_ns\", \"kept\"]", "]");
  old = replaced(old, "4000,0,0,0,0,0]", "4000,0,0,0]");
  old = replaced(old, "1500,0,0,4000,0]", "1500,0,0]");
  EXPECT_EQ(parse_timeline(old).units.at(1).ready, at(0));
}

TEST(TimelineFile, NamesTheRowAndColumnThatIsWrong) {
  const auto with = [](const std::string& from, const std::string& to) {
    return error(replaced(text(), from, to));
  };
  EXPECT_EQ(with("4000,4100,5300,5305,9001", "4000,4100,-5,5305,9001"),
            "units: row 1: arrived_ns: negative (-5)");
  EXPECT_EQ(with("5305,9001", "9305,9001"),
            "units: row 1: to_ns: negative duration: 9001 is before from_ns, which is 9305");
  EXPECT_EQ(with("4000,4100,5300", "6000,4100,5300"),
            "units: row 1: from_ns: negative duration: 5305 is before claimed_ns, which is 6000");
  EXPECT_EQ(with("1500,0,0,4000,", "1500,0,0,5306,"),
            "units: row 1: from_ns: negative duration: 5305 is before ready_ns, which is 5306");
  EXPECT_EQ(with("9001,1500,", "9001,5000,"),
            "units: row 1: recompute_ns: is longer than the unit");
  EXPECT_EQ(with("\"backward\"", "\"sideways\""), "units: row 1: kind: \"sideways\" is unknown");
  EXPECT_EQ(with("[0,1,0,\"back", "[2,1,0,\"back"), "units: row 1: job: must be at most 1, is 2");
  EXPECT_EQ(with("[0,1,0,\"back", "[0,1,0,1,\"back"), "units: row 1: must be a list of 18 values");
  EXPECT_EQ(with("\"demote\",800000", "\"demote\",\"x\""),
            "copies: row 2: bytes: must be an integer, is a string");
  EXPECT_EQ(
      with("9401,11401,9001,9401", "9401,1,9001,9401"),
      "copies: row 2: link_to_ns: negative duration: 1 is before link_from_ns, which is 9401");
  EXPECT_EQ(with("\"makespan_ns\": 11401", "\"makespan_ns\": \"x\""),
            "makespan_ns: must be an integer, is a string");
  EXPECT_EQ(with("[1000000,null]", "[1000000]"), "budget_bytes: has 1 entries, must have 2");
  EXPECT_EQ(with("[1000000,null]", "[1000000,-1]"), "budget_bytes: 1: negative (-1)");
  EXPECT_EQ(with("[\"a\",\"b\"]", "[\"a\",7]"), "jobs: 1: must be a string");
  EXPECT_EQ(with("\"at_ns\":0,", ""), "ends: 1: at_ns: missing");
  EXPECT_EQ(with("\"interrupted\": false", "\"interrupted\": 0"),
            "interrupted: must be true or false, is an integer");
}

TEST(TimelineFile, ReplacesBytesThatAreNoText) {
  Timeline timeline = sample_timeline();
  timeline.jobs[0] = "caf\xe9 \"x\"\n";
  EXPECT_EQ(parse_timeline(timeline_json(timeline)).jobs[0], "caf\xef\xbf\xbd \"x\"\n");
}

TEST(TimelineFile, IsAnErrorWhereverItIsCutOff) {
  expect_errors_when_cut_off(text(), parse_timeline);
  expect_errors_when_cut_off(timeline_json(long_timeline(200)), parse_timeline, 50);
}
TEST(TimelineFile, SurvivesFlippedBytes) { expect_no_crash_when_flipped(text(), parse_timeline); }

}  // namespace
}  // namespace shardlab
