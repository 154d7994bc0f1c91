#include "sim/fair_links.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/link.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

Instant at(std::int64_t ns) { return Instant{Duration{ns}}; }

/// One copy of a link: asked for `gap` ns after the link's copy before it ended.
struct Flow {
  std::size_t device = 0;
  Direction direction{};
  Bytes bytes = 0;
  std::int64_t gap = 0;
  Duration latency{};
  Instant begins{}, ends{};
  bool shares = false;
};

/// Runs queues of copies, one per device and direction, to their ends.
std::vector<Flow> run(const Cluster& cluster, std::vector<Flow> flows) {
  FairLinks links(cluster);
  std::map<std::uint32_t, std::deque<std::size_t>> queues;
  std::map<std::pair<Instant, std::uint32_t>, std::size_t> begins;
  std::multimap<Instant, std::uint32_t> alone;  // Ends of copies that share nothing.
  const auto end = [&](std::uint32_t link, Instant now) {
    auto& queue = queues[link];
    flows[queue.front()].ends = now;
    queue.pop_front();
    if (!queue.empty()) begins[{now + Duration{flows[queue.front()].gap}, link}] = queue.front();
  };
  for (std::size_t f = 0; f < flows.size(); ++f) {
    const auto link = static_cast<std::uint32_t>(2 * flows[f].device +
                                                 static_cast<std::size_t>(flows[f].direction));
    if (queues[link].empty()) begins[{at(flows[f].gap), link}] = f;
    queues[link].push_back(f);
  }
  while (true) {
    Instant next = begins.empty() ? kNever : begins.begin()->first.first;
    if (!alone.empty()) next = std::min(next, alone.begin()->first);
    const Instant now = std::min(next, links.next(next));
    if (now == kNever) return flows;
    for (const std::uint32_t link : links.advance(now)) end(link, now);
    while (!alone.empty() && alone.begin()->first == now) {
      const std::uint32_t link = alone.begin()->second;
      alone.erase(alone.begin());
      end(link, now);
    }
    while (!begins.empty() && begins.begin()->first.first == now) {
      const auto [key, f] = *begins.begin();
      begins.erase(begins.begin());
      Flow& flow = flows[f];
      const DeviceSpec& device = cluster.devices[flow.device];
      const LinkSpec& spec =
          flow.direction == Direction::kPromote ? device.link : device.link_back();
      flow.begins = now;
      flow.latency = spec.latency;
      const Duration time = transfer_time(flow.bytes, spec);
      flow.shares =
          links.begin({key.second, device_id(flow.device), flow.direction, flow.bytes, time}, now);
      if (!flow.shares) alone.emplace(now + time, key.second);
    }
  }
}

Flow promote(std::size_t device, Bytes bytes, std::int64_t gap = 0) {
  return {device, Direction::kPromote, bytes, gap, {}, {}, {}, false};
}
Flow demote(std::size_t device, Bytes bytes, std::int64_t gap = 0) {
  return {device, Direction::kDemote, bytes, gap, {}, {}, {}, false};
}

/// Devices with links of these rates (bytes per ns, 0: not paced) below the last switch.
Cluster below(std::vector<SwitchSpec> switches, const std::vector<double>& rates,
              Duration latency = {}) {
  Cluster cluster = instances::devices(rates.size());
  cluster.switches = std::move(switches);
  for (std::size_t d = 0; d < rates.size(); ++d) {
    cluster.devices[d].link = {latency, rates[d] * 1e9};
    cluster.devices[d].parent = static_cast<int>(cluster.switches.size()) - 1;
  }
  return cluster;
}

std::vector<std::int64_t> ends(const Cluster& cluster, const std::vector<Flow>& flows) {
  std::vector<std::int64_t> found;
  for (const Flow& flow : run(cluster, flows)) {
    found.push_back(flow.ends.time_since_epoch().count());
  }
  return found;
}

using Ends = std::vector<std::int64_t>;

// The numbers of docs/design.md.
TEST(FairLinks, ACopySharesAfterItsLatencyAndEndsAtTheNextNanosecond) {
  const Cluster cluster = below({{"root", 1e9, 1e9, 0, kNoSwitch}}, {1, 1}, Duration{10});
  // 0: from 10 at full rate, from 30 at half; from 110, when 1 is done, its last 40 at full rate.
  EXPECT_EQ(ends(cluster, {promote(0, 100), promote(1, 40, 20)}), (Ends{150, 110}));
  // Each direction has a bandwidth of its own.
  EXPECT_EQ(ends(cluster, {promote(0, 100), demote(1, 40, 20)}), (Ends{110, 70}));
  const Cluster odd = below({{"root", 3e9, 3e9, 0, kNoSwitch}}, {3, 3});
  EXPECT_EQ(ends(odd, {promote(0, 100), promote(1, 100)}), (Ends{67, 67}));  // 66.7
}

TEST(FairLinks, ThirdsComeOutWhole) {
  const Cluster cluster = below({{"root", 1e9, 1e9, 0, kNoSwitch}}, {1, 1, 1});
  EXPECT_EQ(ends(cluster, {promote(0, 100), promote(1, 100), promote(2, 100)}),
            (Ends{300, 300, 300}));
  // Two go on with 50 each at 150.
  EXPECT_EQ(ends(cluster, {promote(0, 100), promote(1, 100), promote(2, 50)}),
            (Ends{250, 250, 150}));
}

TEST(FairLinks, ALinkThatIsSlowItselfLeavesItsShareToTheOthers) {
  const Cluster cluster = below({{"root", 10e9, 10e9, 0, kNoSwitch}}, {2, 10, 10});
  EXPECT_EQ(ends(cluster, {promote(0, 200), promote(1, 400), promote(2, 800)}),
            (Ends{100, 100, 140}));
}

TEST(FairLinks, SwitchesAboveOneAnotherLimitTogether) {
  Cluster cluster =
      below({{"root", 10e9, 10e9, 0, kNoSwitch}, {"pcie", 4e9, 4e9, 0, 0}}, {9, 9, 9});
  cluster.devices[2].parent = 0;  // Gets the 6 that the two below `pcie` leave.
  EXPECT_EQ(ends(cluster, {promote(0, 200), promote(1, 200), promote(2, 600)}),
            (Ends{100, 100, 100}));
}

TEST(FairLinks, OneBandwidthMayServeBothDirections) {
  const Cluster cluster = below({{"memory", 0, 0, 2e9, kNoSwitch}}, {2, 2});
  EXPECT_EQ(ends(cluster, {promote(0, 100), demote(1, 100)}), (Ends{100, 100}));
}

TEST(FairLinks, ALinkWithoutARateTakesWhatTheSwitchGives) {
  const Cluster cluster = below({{"root", 4e9, 0, 0, kNoSwitch}}, {0, 0}, Duration{5});
  EXPECT_EQ(ends(cluster, {promote(0, 400), promote(1, 400)}), (Ends{205, 205}));
  EXPECT_EQ(ends(cluster, {demote(0, 400)}), (Ends{5}));  // Nothing limits the way back.
  EXPECT_EQ(ends(cluster, {promote(0, 0)}), (Ends{5}));
}

/// The way of a copy and what limits it, for the reference.
struct Limits {
  explicit Limits(const Cluster& the_cluster) : cluster(the_cluster) {}
  const Cluster& cluster;

  [[nodiscard]] bool passes(const Flow& flow, std::size_t which) const {
    for (int up = cluster.devices[flow.device].parent; up != kNoSwitch;) {
      if (static_cast<std::size_t>(up) == which) return true;
      up = cluster.switches[static_cast<std::size_t>(up)].parent;
    }
    return false;
  }
  /// Three a switch: there, back, together. Bytes per ns; 0: none.
  [[nodiscard]] double rate(std::size_t limit) const {
    const SwitchSpec& shared = cluster.switches[limit / 3];
    const double rates[] = {shared.bytes_per_second, shared.back_bytes_per_second,
                            shared.together_bytes_per_second};
    return rates[limit % 3] * 1e-9;
  }
  [[nodiscard]] bool holds(std::size_t limit, const Flow& flow) const {
    const auto direction = static_cast<std::size_t>(flow.direction);
    return rate(limit) > 0 && (limit % 3 == 2 || limit % 3 == direction) && passes(flow, limit / 3);
  }
  [[nodiscard]] double own(const Flow& flow) const {
    const DeviceSpec& device = cluster.devices[flow.device];
    const LinkSpec& spec = flow.direction == Direction::kPromote ? device.link : device.link_back();
    return spec.bytes_per_second > 0 ? spec.bytes_per_second * 1e-9
                                     : std::numeric_limits<double>::infinity();
  }
};

/// Slow and obvious: all that still rise do so by as much as the first to stop allows.
std::vector<double> water_fill(const Limits& limits, const std::vector<const Flow*>& flows) {
  const std::size_t count = 3 * limits.cluster.switches.size();
  std::vector<double> rates(flows.size(), 0);
  std::vector<bool> rises(flows.size(), true);
  while (std::ranges::find(rises, true) != rises.end()) {
    double step = std::numeric_limits<double>::infinity();
    std::vector<double> room(count, std::numeric_limits<double>::infinity());
    for (std::size_t l = 0; l < count; ++l) {
      double used = 0;
      int rising = 0;
      for (std::size_t f = 0; f < flows.size(); ++f) {
        if (!limits.holds(l, *flows[f])) continue;
        used += rates[f];
        rising += rises[f] ? 1 : 0;
      }
      if (rising > 0) room[l] = (limits.rate(l) - used) / rising;
      step = std::min(step, room[l]);
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (rises[f]) step = std::min(step, limits.own(*flows[f]) - rates[f]);
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (!rises[f]) continue;
      rates[f] += step;
      rises[f] = rates[f] < limits.own(*flows[f]) * (1 - 1e-12);
      for (std::size_t l = 0; l < count; ++l) {
        if (limits.holds(l, *flows[f]) && room[l] <= step * (1 + 1e-12)) rises[f] = false;
      }
    }
  }
  return rates;
}

/// Max-min fair: each copy has its own link's rate, or passes a full limit where none has more.
void expect_fair(const Limits& limits, const std::vector<const Flow*>& flows,
                 const std::vector<double>& rates) {
  std::vector<double> used(3 * limits.cluster.switches.size()), most(used.size());
  for (std::size_t l = 0; l < used.size(); ++l) {
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (!limits.holds(l, *flows[f])) continue;
      used[l] += rates[f];
      most[l] = std::max(most[l], rates[f]);
    }
    ASSERT_LE(used[l], limits.rate(l) * (1 + 1e-9));
  }
  for (std::size_t f = 0; f < flows.size(); ++f) {
    bool stopped = rates[f] >= limits.own(*flows[f]) * (1 - 1e-9);
    for (std::size_t l = 0; l < used.size(); ++l) {
      stopped |= limits.holds(l, *flows[f]) && used[l] >= limits.rate(l) * (1 - 1e-9) &&
                 rates[f] >= most[l] * (1 - 1e-9);
    }
    ASSERT_TRUE(stopped);
  }
}

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : generator_(seed) {}
  std::int64_t upto(std::int64_t most) {
    return static_cast<std::int64_t>(generator_() % static_cast<std::uint64_t>(most + 1));
  }
  double rate(std::int64_t most) { return static_cast<double>(upto(most)) * 1e9; }

  Cluster cluster() {
    Cluster drawn = instances::devices(1 + static_cast<std::size_t>(upto(5)));
    const auto switches = static_cast<int>(1 + upto(4));
    for (int s = 0; s < switches; ++s) {
      SwitchSpec shared{"s", rate(12), rate(12), upto(2) == 0 ? rate(15) : 0, kNoSwitch};
      if (upto(3) > 0) shared.parent = static_cast<int>(upto(s)) - 1;
      drawn.switches.push_back(shared);
    }
    for (DeviceSpec& device : drawn.devices) {
      device.link = {Duration{upto(3) * 7}, rate(6)};
      if (upto(1) == 0) device.back = LinkSpec{Duration{upto(9)}, rate(9)};
      device.parent = static_cast<int>(upto(switches - 1));
    }
    return drawn;
  }

  std::vector<Flow> flows(const Cluster& cluster) {
    std::vector<Flow> drawn;
    for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
      for (std::int64_t i = upto(6); i > 0; --i) {
        const std::int64_t gap = upto(2) * upto(300);
        drawn.push_back(upto(1) == 0 ? promote(d, upto(2000), gap) : demote(d, upto(2000), gap));
      }
    }
    return drawn;
  }

 private:
  std::mt19937_64 generator_;
};

/// Every copy ends in the first whole nanosecond by which fair rates have moved its bytes.
void expect_served(const Cluster& cluster, const std::vector<Flow>& flows) {
  const Limits limits(cluster);
  std::vector<Instant> changes;
  for (const Flow& flow : flows) {
    if (flow.shares) changes.insert(changes.end(), {flow.begins + flow.latency, flow.ends});
  }
  std::ranges::sort(changes);
  std::vector<double> served(flows.size()), last_rate(flows.size());
  for (std::size_t i = 0; i + 1 < changes.size(); ++i) {
    std::vector<const Flow*> active;
    for (const Flow& flow : flows) {
      const bool now = flow.begins + flow.latency <= changes[i] && changes[i] < flow.ends;
      if (flow.shares && now) active.push_back(&flow);
    }
    const std::vector<double> rates = water_fill(limits, active);
    expect_fair(limits, active, rates);
    for (std::size_t a = 0; a < active.size(); ++a) {
      const auto f = static_cast<std::size_t>(active[a] - flows.data());
      served[f] += rates[a] * static_cast<double>((changes[i + 1] - changes[i]).count());
      if (changes[i + 1] > changes[i]) last_rate[f] = rates[a];
    }
  }
  for (std::size_t f = 0; f < flows.size(); ++f) {
    if (!flows[f].shares) continue;
    const auto bytes = static_cast<double>(flows[f].bytes);
    const double slack = 2e-3 * last_rate[f] + 1e-9 * bytes;
    EXPECT_GE(served[f], bytes - slack) << "copy " << f << " ended before its bytes had moved";
    EXPECT_LE(served[f] - last_rate[f], bytes + slack) << "copy " << f << " ended late";
  }
}

TEST(FairLinks, MovesWhatWaterFillingMovesOnRandomTrees) {
  std::size_t shared = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(2000); ++seed) {
    SCOPED_TRACE(seed);
    Draw draw(seed);
    const Cluster cluster = draw.cluster();
    const std::vector<Flow> flows = run(cluster, draw.flows(cluster));
    for (const Flow& flow : flows) shared += flow.shares ? 1 : 0;
    expect_served(cluster, flows);
    if (HasFailure()) return;
  }
  EXPECT_GT(shared, instances::seeds(2000) * 5);
}

Timeline simulated(const instances::Case& drawn, const Cluster& cluster) {
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  const auto policy = make_policy("lrtf", track_count(program), 1);
  EstimatedCosts costs(program);
  Timeline timeline;
  simulate(program, cluster, *policy, costs, &timeline);
  expect_valid(timeline, program);
  return timeline;
}

struct Instance {
  instances::Case drawn;
  Cluster cluster;
};

/// Paced links, engines or none, tight memory.
Instance draw_instance(std::uint64_t seed) {
  Draw draw(seed);
  instances::Shape shape;
  shape.jobs = 1 + static_cast<int>(draw.upto(5));
  shape.slots = 1 + static_cast<int>(draw.upto(1));
  Instance found{instances::draw(shape, seed), {}};
  const auto devices = static_cast<std::size_t>(1 + draw.upto(3));
  found.cluster = instances::devices(devices, kUnlimited, {}, static_cast<int>(draw.upto(2)));
  const Program program =
      lower(found.drawn.workload, found.cluster, found.drawn.profile, found.drawn.plan);
  for (DeviceSpec& device : found.cluster.devices) {
    device.memory = instances::tight_budget(program);
    device.link = {Duration{draw.upto(3)}, 3e8 + draw.rate(2)};
    if (draw.upto(1) == 0) device.back = LinkSpec{Duration{draw.upto(3)}, 1e9 + draw.rate(2)};
  }
  return found;
}

bool same(const UnitSpan& a, const UnitSpan& b) {
  return a.job == b.job && a.unit == b.unit && a.minibatch == b.minibatch && a.device == b.device &&
         a.claim == b.claim && a.from == b.from && a.to == b.to && a.claimed == b.claimed &&
         a.reserved == b.reserved && a.arrived == b.arrived;
}
bool same(const CopySpan& a, const CopySpan& b) {
  return a.job == b.job && a.item == b.item && a.shard == b.shard && a.device == b.device &&
         a.direction == b.direction && a.asked == b.asked && a.link_from == b.link_from &&
         a.link_to == b.link_to && a.done == b.done;
}
template <typename Span>
bool same(const std::vector<Span>& a, const std::vector<Span>& b) {
  return std::ranges::equal(a, b, [](const Span& x, const Span& y) { return same(x, y); });
}

TEST(FairLinks, BelowAParentThatIsWideEnoughLinksPassAsAlone) {
  for (std::uint64_t seed = 0; seed < instances::seeds(500); ++seed) {
    SCOPED_TRACE(seed);
    auto [drawn, cluster] = draw_instance(seed);
    const Timeline plain = simulated(drawn, cluster);
    cluster.switches = {{"root", 1e11, 1e11, 1e11, kNoSwitch}, {"pcie", 5e10, 0, 0, 0}};
    // Some of them: ends of both sorts of links come in the order of all links.
    for (std::size_t d = seed % 2; d < cluster.devices.size(); ++d) {
      cluster.devices[d].parent = static_cast<int>(d % 2);
    }
    const Timeline wide = simulated(drawn, cluster);
    ASSERT_TRUE(same(plain.copies, wide.copies));
    ASSERT_TRUE(same(plain.units, wide.units));
    ASSERT_EQ(plain.makespan, wide.makespan);
  }
}

// One engine, and a switch that only limits the way there.
TEST(FairLinks, ACopyThatSharesNothingStillWaitsForOneThatDoes) {
  const Program program = instances::chains({{1}});
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{}, 1e9}, 1);
  cluster.switches = {{"root", 5e8, 0, 0, kNoSwitch}};
  cluster.devices[0].parent = 0;
  EstimatedCosts costs(program);
  Simulator simulator(program, cluster, costs);
  std::vector<std::int64_t> times;
  TransferId id = 0;
  for (const Direction direction : {Direction::kPromote, Direction::kDemote, Direction::kPromote}) {
    Transfer transfer;
    transfer.id = id++;
    transfer.direction = direction;
    transfer.bytes = 10;
    simulator.start_link(transfer);
  }
  for (auto events = simulator.wait(); !events.empty(); events = simulator.wait()) {
    for (const Event& event : events) {
      const auto& done = std::get<LinkDone>(event);
      times.push_back(done.from.time_since_epoch().count());
      times.push_back(done.to.time_since_epoch().count());
    }
  }
  EXPECT_EQ(times, (Ends{0, 20, 20, 30, 30, 50}));
}

TEST(FairLinks, ANarrowParentNeverMovesMoreThanItCan) {
  std::size_t slowed = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(seed);
    auto [drawn, cluster] = draw_instance(seed);
    cluster.switches = {{"root", 0, 0, 5e8, kNoSwitch}};
    for (DeviceSpec& device : cluster.devices) device.parent = 0;
    const Timeline timeline = simulated(drawn, cluster);
    Bytes bytes = 0;
    for (const CopySpan& span : timeline.copies) {
      const DeviceSpec& device = cluster.devices[index(span.device)];
      const LinkSpec& link =
          span.direction == Direction::kPromote ? device.link : device.link_back();
      ASSERT_GE(span.link_to - span.link_from, transfer_time(span.bytes, link));
      slowed += span.link_to - span.link_from > transfer_time(span.bytes, link) ? 1 : 0;
      bytes += span.bytes;
    }
    ASSERT_GE(timeline.makespan - Instant{}, transfer_time(bytes, 5e8));
  }
  EXPECT_GT(slowed, instances::seeds(300) * 5);
}

TEST(FairLinks, RefusesASwitchSoSlowThatTheClockWouldEnd) {
  const instances::Case drawn = instances::draw({}, 1);
  Cluster cluster = instances::devices(2);
  const auto error = [&] {
    return error_of([&] { lower(drawn.workload, cluster, drawn.profile, drawn.plan); });
  };
  for (const bool back : {false, true}) {
    cluster.switches = {{"root", back ? 0 : 1e-9, back ? 1e-9 : 0, 0, kNoSwitch}};
    EXPECT_NE(error().find("more than 73 years"), std::string::npos) << error();
  }
}

}  // namespace
}  // namespace shardlab
