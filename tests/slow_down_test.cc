#include <cstdint>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "sim/simulator.h"
#include "tests/instances.h"

/// Computing that is slowed while copies are in flight, by hand.
namespace shardlab {
namespace {

struct Slowed {
  Program program;
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{}, 1e9}, 2);

  explicit Slowed(int unit, double promote = 1.5, double demote = 2)
      : program(instances::chains({{unit}})) {
    cluster.devices[0].slow_down_promote = promote;
    cluster.devices[0].slow_down_demote = demote;
  }
};

struct Asked {
  std::int64_t at = 0;
  Direction direction{};
  Bytes bytes = 0;  ///< And nanoseconds.
};

/// Runs one unit from `start` on and these copies, asked for in this order; at one instant at most
/// one of them. Returns what is reported of the unit.
UnitDone run(const Slowed& given, std::vector<Asked> copies, std::int64_t start = 0) {
  EstimatedCosts costs(given.program);
  Simulator simulator(given.program, given.cluster, costs);
  UnitDone done;
  std::size_t next = 0;
  bool started = false;
  while (true) {
    const std::int64_t now = simulator.now().time_since_epoch().count();
    if (!started && start == now) {
      started = true;
      UnitRun unit;
      simulator.start_unit(unit);
    }
    for (; next < copies.size() && copies[next].at == now; ++next) {
      Transfer transfer;
      transfer.id = static_cast<TransferId>(next);
      transfer.direction = copies[next].direction;
      transfer.bytes = copies[next].bytes;
      simulator.start_link(transfer);
    }
    std::int64_t wake = started ? INT64_MAX : start;
    if (next < copies.size()) wake = std::min(wake, copies[next].at);
    if (wake < INT64_MAX) simulator.wake_at(Instant{Duration{wake}});
    const auto events = simulator.wait();
    if (events.empty()) return done;
    for (const Event& event : events) {
      if (const auto* unit = std::get_if<UnitDone>(&event)) done = *unit;
    }
  }
}

std::int64_t end(const Slowed& given, const std::vector<Asked>& copies) {
  return run(given, copies).to.time_since_epoch().count();
}

constexpr Direction kIn = Direction::kPromote, kOut = Direction::kDemote;

// The numbers of docs/design.md.
TEST(SlowDown, AUnitTakesLongerByTheFactorWhileACopyIsInFlight) {
  EXPECT_EQ(end(Slowed(100), {}), 100);
  EXPECT_EQ(end(Slowed(100), {{0, kIn, 30}}), 110);  // 20 done by 30, then 80.
  EXPECT_EQ(end(Slowed(100), {{10, kIn, 30}}), 110);
  EXPECT_EQ(end(Slowed(100), {{10, kOut, 30}}), 115);
  EXPECT_EQ(end(Slowed(100), {{0, kIn, 1000}}), 150);           // To its end.
  EXPECT_EQ(end(Slowed(100), {{20, kIn, 30}, {30, kOut, 30}}),  // 20, 10/1.5, 20/3, 10/2: 38.3
            122);                                               // 60 + 61.7
}

TEST(SlowDown, ACopySlowsFromTheBeginOfItsPassageNotFromItsRequest) {
  Slowed one_engine(100);
  one_engine.cluster.devices[0].copy_engines = 1;
  // Out waits for in: 30/1.5 and 20/2 by 50.
  EXPECT_EQ(end(one_engine, {{0, kIn, 30}, {0, kOut, 20}}), 120);
  // In one direction one follows the other without a gap.
  EXPECT_EQ(end(Slowed(100), {{0, kIn, 15}, {5, kIn, 15}}), 110);
}

TEST(SlowDown, EndsRoundUpOnceHoweverOftenThePaceChanges) {
  std::vector<Asked> copies;
  for (int i = 0; i < 30; ++i) copies.push_back({2 * i, kIn, 1});
  // 30 of 60 ns at a third: 40 done by 60; with rounding at every change it would be less.
  EXPECT_EQ(end(Slowed(100, 3), copies), 120);
  EXPECT_EQ(end(Slowed(10, 1.1), {{0, kIn, 100}}), 11);
  EXPECT_EQ(end(Slowed(11, 1.1), {{0, kIn, 100}}), 13);  // 12.1
}

TEST(SlowDown, DispatchIsNotComputing) {
  Slowed given(100);
  given.program.dispatch_alone = Duration{50};
  EXPECT_EQ(end(given, {{0, kIn, 40}}), 150);
  const UnitDone done = run(given, {{20, kIn, 60}});  // From 50 to 80.
  EXPECT_EQ(done.from, Instant{Duration{50}});
  EXPECT_EQ(done.to, Instant{Duration{160}});
}

TEST(SlowDown, AUnitThatStartsBesideACopyIsSlowedAtOnce) {
  EXPECT_EQ(run(Slowed(100), {{0, kIn, 80}}, 50).to, Instant{Duration{160}});
}

TEST(SlowDown, WhatRepeatsAForwardIsSlowedInProportion) {
  Slowed given(100);
  given.program.jobs[0].units[0].alone.recompute = Duration{40};
  EXPECT_EQ(run(given, {{0, kIn, 30}}).recompute, Duration{44});
  EXPECT_EQ(run(given, {}).recompute, Duration{40});
}

TEST(SlowDown, AlsoBelowASharedParent) {
  Slowed given(100);
  given.cluster.switches = {{"root", 5e8, 5e8, 0, kNoSwitch}};
  given.cluster.devices[0].parent = 0;
  EXPECT_EQ(end(given, {{0, kIn, 15}}), 110);  // It takes 30 ns.
}

}  // namespace
}  // namespace shardlab
