#include "traces/chrome_trace.h"

#include <array>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/sample_data.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

using nlohmann::json;

std::string trace(const Timeline& timeline) {
  const std::array one{&timeline};
  return chrome_trace_json(one);
}

json all_events(const std::string& text) { return json::parse(text).at("traceEvents"); }

/// All events of one phase, in the order of the file.
std::vector<json> events(const Timeline& timeline, const std::string& phase) {
  std::vector<json> found;
  for (const json& event : all_events(trace(timeline))) {
    if (event["ph"] == phase) found.push_back(event);
  }
  return found;
}

TEST(ChromeTrace, OneProcessPerTimelineOneThreadPerLane) {
  const Timeline predicted = sample_timeline();
  Timeline measured = sample_timeline();
  measured.source = "measured";
  const std::array<const Timeline*, 2> both{&predicted, &measured};
  std::map<std::pair<int, int>, std::string> names;
  for (const json& event : all_events(chrome_trace_json(both))) {
    const bool name = event["name"] == "process_name" || event["name"] == "thread_name";
    if (name) names[{event["pid"], event["tid"]}] = event["args"]["name"];
  }
  const std::map<std::pair<int, int>, std::string> expected{
      {{1, 0}, "simulated: spill/lrtf"}, {{1, 1}, "cpu-0 compute"},
      {{1, 2}, "cpu-0 promote"},         {{1, 3}, "cpu-0 demote"},
      {{1, 4}, "cpu-1 compute"},         {{1, 5}, "cpu-1 promote"},
      {{1, 6}, "cpu-1 demote"},          {{2, 0}, "measured: spill/lrtf"},
      {{2, 1}, "cpu-0 compute"},         {{2, 2}, "cpu-0 promote"},
      {{2, 3}, "cpu-0 demote"},          {{2, 4}, "cpu-1 compute"},
      {{2, 5}, "cpu-1 promote"},         {{2, 6}, "cpu-1 demote"}};
  EXPECT_EQ(names, expected);
}

TEST(ChromeTrace, KeepsEveryNanosecond) {
  // The backward: from 5305 to 9001 ns.
  EXPECT_NE(trace(sample_timeline()).find(R"("ts":5.305,"dur":3.696,"name":"a backward 0")"),
            std::string::npos);
}

TEST(ChromeTrace, AUnitSaysWhatItIsAndWhatItWaitedFor) {
  const json args = events(sample_timeline(), "X").at(4)["args"];
  EXPECT_EQ(args["job"], "a");
  EXPECT_EQ(args["kind"], "backward");
  EXPECT_EQ(args["shard"], 0);
  EXPECT_EQ(args["minibatch"], 0);
  EXPECT_DOUBLE_EQ(args["waited_for_memory_us"], 0.1);  // 4000 to 4100
  EXPECT_DOUBLE_EQ(args["waited_for_copies_us"], 1.2);  // 4100 to 5300
  EXPECT_DOUBLE_EQ(args["waited_for_lane_us"], 0.005);  // 5300 to 5305
  EXPECT_DOUBLE_EQ(args["recompute_us"], 1.5);
}

TEST(ChromeTrace, ACopyStandsOnItsLinkAndOnTheLaneThatDoesIt) {
  const std::vector<json> slices = events(sample_timeline(), "X");
  // The state's demotion from cpu-1: on the compute lane from 9001 to 9401, on the link from 9401
  // to 11401.
  EXPECT_EQ(slices.at(5)["tid"], 4);
  EXPECT_DOUBLE_EQ(slices.at(5)["ts"], 9.001);
  EXPECT_DOUBLE_EQ(slices.at(5)["dur"], 0.4);
  EXPECT_EQ(slices.at(7)["tid"], 6);
  EXPECT_DOUBLE_EQ(slices.at(7)["ts"], 9.401);
  EXPECT_DOUBLE_EQ(slices.at(7)["dur"], 2.0);
  EXPECT_EQ(slices.at(7)["args"]["bytes"], 800'000);
}

TEST(ChromeTrace, AnArrowLeadsToTheNextUnitOnAnotherDevice) {
  const std::vector<json> starts = events(sample_timeline(), "s");
  const std::vector<json> ends = events(sample_timeline(), "f");
  ASSERT_EQ(starts.size(), 1u);
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(starts[0]["id"], ends[0]["id"]);
  EXPECT_EQ(starts[0]["tid"], 1);
  EXPECT_DOUBLE_EQ(starts[0]["ts"], 3.999);  // Inside the forward, which ends at 4000.
  EXPECT_EQ(ends[0]["tid"], 4);
  EXPECT_DOUBLE_EQ(ends[0]["ts"], 5.305);
  EXPECT_EQ(ends[0]["bp"], "e");
}

TEST(ChromeTrace, ArrowsFollowAMicrobatchThroughAPipeline) {
  //        0       10      20      30
  //     0  F0 ---- F1 ---- ....... S
  //     1          F0 ---- F1 ----
  Timeline timeline = sample_timeline();
  timeline.units.clear();
  const auto add = [&](std::uint32_t device, UnitKind kind, std::int32_t microbatch, int from) {
    UnitSpan span;
    span.device = DeviceId{device};
    span.kind = kind;
    span.microbatch = microbatch;
    span.claimed = span.from = at(from);
    span.to = at(from + 10);
    timeline.units.push_back(span);
  };
  add(0, UnitKind::kForward, 0, 0);
  add(0, UnitKind::kForward, 1, 10);
  add(1, UnitKind::kForward, 0, 10);
  add(1, UnitKind::kForward, 1, 20);
  add(0, UnitKind::kStep, 0, 30);
  std::string text;
  const std::vector<json> starts = events(timeline, "s"), ends = events(timeline, "f");
  ASSERT_EQ(starts.size(), ends.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    EXPECT_EQ(starts[i]["id"], ends[i]["id"]);
    text += starts[i]["ts"].dump() + " -> " + ends[i]["ts"].dump() + "\n";
  }
  EXPECT_EQ(text, "0.009 -> 0.01\n0.019 -> 0.02\n");
}

TEST(ChromeTrace, IdsOfArrowsAreUniqueInTheFile) {
  const Timeline one = sample_timeline(), other = sample_timeline();
  const std::array<const Timeline*, 2> both{&one, &other};
  std::map<int, std::string> phases;
  for (const json& event : all_events(chrome_trace_json(both))) {
    if (event.contains("id")) phases[event["id"]] += event["ph"];
  }
  EXPECT_EQ(phases, (std::map<int, std::string>{{1, "sf"}, {2, "sf"}}));
}

TEST(ChromeTrace, CountsBytesReserved) {
  Timeline timeline = sample_timeline();
  timeline.memory = {
      {at(0), DeviceId{1}, 500}, {at(1'500), DeviceId{0}, 7}, {at(2'001), DeviceId{1}, 0}};
  std::string text;
  for (const json& event : events(timeline, "C")) {
    if (event["name"] != "cpu-1 bytes reserved") continue;
    text += event["ts"].dump() + ": " + event["args"]["bytes"].dump() + "\n";
  }
  EXPECT_EQ(text, "0.0: 500\n2.001: 0\n");
}

TEST(ChromeTrace, CountsBytesThatNoUnitNeedsYet) {
  Timeline timeline = sample_timeline();
  // A second copy that arrives before the backward, and one that nothing follows.
  CopySpan early = timeline.copies[1];
  early.bytes = 7;
  early.done = at(5'200);
  CopySpan unused = early;
  unused.done = at(10'000);
  timeline.copies.push_back(early);
  timeline.copies.push_back(unused);
  std::string text;
  for (const json& event : events(timeline, "C")) {
    if (event["name"] != "cpu-1 bytes not needed yet") continue;
    text += event["ts"].dump() + ": " + event["args"]["bytes"].dump() + "\n";
  }
  EXPECT_EQ(text, "5.2: 7\n5.3: 400007\n5.305: 0\n10.0: 7\n11.401: 0\n");
}

TEST(ChromeTrace, CountsTheRatesOfLinks) {
  Timeline timeline = sample_timeline();
  timeline.copies.resize(1);
  CopySpan& one = timeline.copies[0];
  one.direction = Direction::kPromote;
  one.device = DeviceId{0};
  one.bytes = 3000;
  one.link_from = at(1'000);
  one.link_to = at(4'000);
  CopySpan other = one;
  other.direction = Direction::kDemote;
  other.device = DeviceId{1};
  other.link_from = at(2'000);
  timeline.copies.push_back(other);
  CopySpan straight = one;
  straight.direction = Direction::kPeer;
  straight.link_from = at(3'000);
  timeline.copies.push_back(straight);
  CopySpan by_lane_alone = other;
  by_lane_alone.link_to = by_lane_alone.link_from;
  timeline.copies.push_back(by_lane_alone);
  std::string text;
  for (const json& event : events(timeline, "C")) {
    const std::string name = event["name"];
    if (name.find("bytes/s") == std::string::npos) continue;
    text += name + " " + event["ts"].dump() + ": " + event["args"]["promote"].dump() + " " +
            event["args"]["demote"].dump() + " " + event["args"]["peer"].dump() + "\n";
  }
  EXPECT_EQ(text,
            "cpu-0 link bytes/s 1.0: 1000000000 0 0\n"
            "cpu-0 link bytes/s 3.0: 1000000000 0 3000000000\n"
            "cpu-0 link bytes/s 4.0: 0 0 0\n"
            "cpu-1 link bytes/s 2.0: 0 1500000000 0\n"
            "cpu-1 link bytes/s 4.0: 0 0 0\n"
            "all links bytes/s 1.0: 1000000000 0 0\n"
            "all links bytes/s 2.0: 1000000000 1500000000 0\n"
            "all links bytes/s 3.0: 1000000000 1500000000 3000000000\n"
            "all links bytes/s 4.0: 0 0 0\n");
}

TEST(ChromeTrace, SlicesOfAThreadNeverOverlap) {
  Timeline timeline = sample_timeline();
  timeline.copies[1] = timeline.copies[0];
  timeline.copies[1].link_from =
      at(900);  // A measured end is a little late: the next began before it.
  timeline.copies[1].link_to = at(1'900);
  std::map<std::pair<int, int>, double> free;
  for (const json& slice : events(timeline, "X")) {
    double& end = free[{slice["pid"], slice["tid"]}];
    EXPECT_GE(slice["ts"].get<double>(), end - 1e-9);
    end = slice["ts"].get<double>() + slice["dur"].get<double>();
  }
}

TEST(ChromeTrace, EscapesNames) {
  Timeline timeline = sample_timeline();
  timeline.jobs[0] = "a\"b\\c\n\xff";
  EXPECT_EQ(events(timeline, "X").at(1)["args"]["job"], "a\"b\\c\n\xef\xbf\xbd");
}

TEST(ChromeTrace, WritesAFileAlsoOfNothing) {
  const std::string path = ::testing::TempDir() + "trace.json";
  write_chrome_trace(path, {});
  EXPECT_EQ(all_events(read_whole_file(path)), json::array());
}

}  // namespace
}  // namespace shardlab
