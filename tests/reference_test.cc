#include "tests/reference.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

using reference::Fault;
using scenarios::Scenario;

/// What a span says, in the order of its text.
using Numbers = std::array<std::int64_t, 16>;

std::int64_t ns(Instant at) { return at.time_since_epoch().count(); }

Numbers numbers(const UnitSpan& span) {
  return {static_cast<std::int64_t>(index(span.job)),
          span.minibatch,
          span.unit,
          span.microbatch,
          span.replica,
          static_cast<std::int64_t>(index(span.device)),
          span.claim,
          ns(span.claimed),
          ns(span.reserved),
          ns(span.arrived),
          ns(span.from),
          ns(span.to),
          span.recompute.count(),
          static_cast<std::int64_t>(span.kind),
          0,
          0};
}

std::string text(const Numbers& n, const UnitSpan& span) {
  return fmt::format(
      "job {} minibatch {} unit {} (microbatch {}, replica {}) on device {}: claim {} at {}, "
      "reserved {}, arrived {}, runs {} to {}, repeats {}: {}",
      n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12],
      to_string(span.kind));
}

Numbers numbers(const CopySpan& span) {
  return {static_cast<std::int64_t>(index(span.job)),
          span.minibatch,
          span.shard,
          span.microbatch,
          span.replica,
          static_cast<std::int64_t>(index(span.device)),
          span.bytes,
          ns(span.asked),
          ns(span.link_from),
          ns(span.link_to),
          ns(span.lane_from),
          ns(span.lane_to),
          ns(span.done),
          3 * static_cast<std::int64_t>(span.item) + static_cast<std::int64_t>(span.direction),
          static_cast<std::int64_t>(index(span.source)),
          ns(span.step_from)};
}

std::string text(const Numbers& n, const CopySpan& span) {
  return fmt::format(
      "job {} minibatch {} shard {} (microbatch {}, replica {}) on device {}: {} bytes asked at "
      "{}, link {} to {}, lane {} to {}, step {}, done {}: {} {}, source {}",
      n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[15], n[12],
      to_string(span.direction), to_string(span.item), static_cast<std::int32_t>(n[14]));
}

template <typename Span>
std::string first_difference(const std::vector<Span>& fast, const std::vector<Span>& slow) {
  for (std::size_t i = 0; i < std::max(fast.size(), slow.size()); ++i) {
    const bool both = i < fast.size() && i < slow.size();
    if (both && numbers(fast[i]) == numbers(slow[i])) continue;
    const auto said = [&](const std::vector<Span>& spans) {
      return i < spans.size() ? text(numbers(spans[i]), spans[i]) : "nothing";
    };
    return "simulator: " + said(fast) + "\nreference: " + said(slow);
  }
  return "";
}

std::string first_difference(const Outcome& fast, const reference::Result& slow) {
  for (std::size_t j = 0; j < slow.ends.size(); ++j) {
    if (fast.jobs[j].at != slow.ends[j]) return fmt::format("end of job {}", j);
  }
  if (fast.makespan != slow.makespan) return "makespan";
  if (fast.busy != slow.busy) return "busy time";
  if (fast.peak != slow.peak) return "peak";
  if (fast.host_peak != slow.host_peak) return "peak of the host";
  if (fast.read != slow.read || fast.written != slow.written) return "bytes of the disk";
  if (fast.promoted != slow.promoted || fast.demoted != slow.demoted ||
      fast.between_devices != slow.between_devices) {
    return "bytes moved";
  }
  return "";
}

/// Where the two disagree first, with a timeline and without one, when the fast one takes short
/// cuts; empty: nowhere. Throws Error on a scenario that is refused.
std::string disagreement(const Scenario& scenario, Fault fault = Fault::kNone) {
  const scenarios::Lowered plan = scenarios::lower(scenario);
  refuse_what_cannot_fit(plan.program, plan.cluster);
  EstimatedCosts costs(plan.program);
  Timeline timeline;
  const auto policy = make_policy(scenario.policy, plan.program, 1);
  reference::Simulation simulation(plan.program, plan.cluster, scenario.policy, fault);
  try {
    const Outcome fast = simulate(plan.program, plan.cluster, *policy, costs, &timeline);
    const reference::Result slow = simulation.run();
    std::string difference = first_difference(timeline.units, slow.units);
    if (difference.empty()) difference = first_difference(timeline.copies, slow.copies);
    if (difference.empty()) difference = first_difference(fast, slow);
    if (!difference.empty()) return difference;
    const auto again = make_policy(scenario.policy, plan.program, 1);
    const Outcome quick = simulate(plan.program, plan.cluster, *again, costs, nullptr);
    difference = first_difference(quick, slow);
    return difference.empty() ? "" : "without a timeline: " + difference;
  } catch (const std::exception& error) {  // One of them is stuck.
    return error.what();
  }
}

/// A scenario made simpler may be none that can be lowered.
bool disagree(const Scenario& scenario, Fault fault = Fault::kNone) {
  try {
    return !disagreement(scenario, fault).empty();
  } catch (const Error&) {
    return false;
  }
}

std::string report(const Scenario& scenario) {
  const auto fails = [](const Scenario& smaller) { return disagree(smaller); };
  if (!fails(scenario)) return "";
  const Scenario smallest = scenarios::shrink(scenario, fails);
  return "shrunk: " + disagreement(smallest) + "\nwith " + to_string(smallest);
}

class Reference : public testing::TestWithParam<const char*> {
 protected:
  using Draw = Scenario(std::uint64_t seed, const std::string& policy);
  static void agree_on(std::uint64_t seeds, Draw* draw) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const Scenario scenario = draw(seed, GetParam());
      const std::string difference = disagreement(scenario);
      ASSERT_TRUE(difference.empty()) << "seed " << seed << ": " << difference << "\n"
                                      << report(scenario);
    }
  }
};

// Strategies, buffers, budgets, links, arrivals and admission, units that take longer than was
// estimated and ends of the same instant.
TEST_P(Reference, AgreesOnEverySpanOfRandomScenarios) {
  agree_on(instances::seeds(600), scenarios::draw);
}

INSTANTIATE_TEST_SUITE_P(All, Reference, testing::ValuesIn(instances::kListPolicies),
                         [](const auto& info) { return std::string(info.param); });

// The same with more jobs than devices can claim units of.
TEST_P(Reference, AgreesOnEverySpanOfCrowdedScenarios) {
  agree_on(instances::seeds(300), scenarios::draw_crowded);
}

// The same where the host's memory holds a few items and a disk the others.
TEST_P(Reference, AgreesOnEverySpanAboveADisk) {
  agree_on(instances::seeds(300), scenarios::draw_with_disk);
}

// The same on devices of several speeds, whose units copies slow, and with shared bases.
TEST_P(Reference, AgreesOnEverySpanOfMixedDevicesAndBases) {
  agree_on(instances::seeds(300), scenarios::draw_mixed);
}

/// The first scenario on which a reference with that fault disagrees.
std::optional<Scenario> found_by(Fault fault) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    for (const char* policy : {"lrtf", "fifo"}) {
      for (const Scenario& scenario :
           {scenarios::draw(seed, policy), scenarios::draw_with_disk(seed, policy),
            scenarios::draw_mixed(seed, policy)}) {
        if (!disagreement(scenario, fault).empty()) return scenario;
      }
    }
  }
  return std::nullopt;
}

// Each rule matters to some scenario, so the agreement above says that both have it.
TEST(ReferenceFaults, OfEveryKindAreFoundAndShrunk) {
  for (int f = 1; f < reference::kFaults; ++f) {
    const auto fault = static_cast<Fault>(f);
    const auto found = found_by(fault);
    ASSERT_TRUE(found) << "fault " << f;
    const auto fails = [&](const Scenario& each) { return disagree(each, fault); };
    const Scenario smallest = scenarios::shrink(*found, fails);
    EXPECT_TRUE(fails(smallest)) << "fault " << f;
    EXPECT_LE(smallest.jobs.size(), 4u) << "fault " << f << "\n" << to_string(smallest);
  }
}

}  // namespace
}  // namespace shardlab
