#include "tests/reference.h"

#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

using reference::Fault;
using scenarios::Scenario;

std::int64_t ns(Instant at) { return at.time_since_epoch().count(); }

std::string text(const UnitSpan& span) {
  std::ostringstream out;
  out << "job " << index(span.job) << " minibatch " << span.minibatch << " unit " << span.unit
      << " on device " << index(span.device) << ": claim " << span.claim << " at "
      << ns(span.claimed) << ", reserved " << ns(span.reserved) << ", arrived " << ns(span.arrived)
      << ", runs " << ns(span.from) << " to " << ns(span.to) << ", repeats "
      << span.recompute.count() << ", microbatch " << span.microbatch << " of replica "
      << span.replica;
  return out.str();
}

std::string text(const CopySpan& span) {
  std::ostringstream out;
  out << to_string(span.direction) << " of job " << index(span.job) << " " << to_string(span.item)
      << " " << span.shard << "." << span.microbatch << "." << span.replica << " in minibatch "
      << span.minibatch << ", device " << index(span.device) << ", " << span.bytes
      << " bytes: asked " << ns(span.asked) << ", link " << ns(span.link_from) << " to "
      << ns(span.link_to) << ", lane " << ns(span.lane_from) << " to " << ns(span.lane_to)
      << ", done " << ns(span.done);
  return out.str();
}

template <typename Span>
std::string first_difference(const std::vector<Span>& fast, const std::vector<Span>& slow) {
  for (std::size_t i = 0; i < std::max(fast.size(), slow.size()); ++i) {
    const std::string a = i < fast.size() ? text(fast[i]) : "nothing";
    const std::string b = i < slow.size() ? text(slow[i]) : "nothing";
    if (a != b) return "simulator: " + a + "\nreference: " + b;
  }
  return "";
}

/// The Driver counts such an item once more in host memory each time it is demoted.
bool writes_what_dies(const Program& program) {
  for (const JobProgram& job : program.jobs) {
    for (const Unit& unit : job.units) {
      for (const ItemIndex i : unit.writes) {
        if (!job.items[i].lasting) return true;
      }
    }
  }
  return false;
}

/// Where the two disagree first; empty: nowhere.
std::string disagreement(const Scenario& scenario, Fault fault = Fault::kNone) {
  const scenarios::Lowered plan = scenarios::lower(scenario);
  EstimatedCosts costs(plan.program);
  Timeline timeline;
  const auto policy = make_policy(scenario.policy, track_count(plan.program), 1);
  const Outcome fast = simulate(plan.program, plan.cluster, *policy, costs, &timeline);
  reference::Simulation simulation(plan.program, plan.cluster, scenario.policy, fault);
  reference::Result slow;
  try {
    slow = simulation.run();
  } catch (const std::exception& error) {
    return error.what();
  }
  if (auto units = first_difference(timeline.units, slow.units); !units.empty()) return units;
  if (auto copies = first_difference(timeline.copies, slow.copies); !copies.empty()) return copies;
  for (std::size_t j = 0; j < slow.ends.size(); ++j) {
    if (fast.jobs[j].at != slow.ends[j]) return "end of job " + std::to_string(j);
  }
  if (fast.makespan != slow.makespan) return "makespan";
  if (fast.busy != slow.busy) return "busy time";
  if (fast.peak != slow.peak) return "peak";
  if (fast.host_peak != slow.host_peak && !writes_what_dies(plan.program)) {
    return "peak of the host";
  }
  if (fast.promoted != slow.promoted || fast.demoted != slow.demoted) return "bytes moved";
  return "";
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

class Reference : public testing::TestWithParam<PolicyInfo> {};

// Strategies, buffers, budgets, links, arrivals and admission, units that take longer than was
// estimated and ends of the same instant.
TEST_P(Reference, AgreesOnEverySpanOfRandomScenarios) {
  for (std::uint64_t seed = 0; seed < instances::seeds(600); ++seed) {
    const Scenario scenario = scenarios::draw(seed, std::string(GetParam().name));
    const std::string difference = disagreement(scenario);
    ASSERT_TRUE(difference.empty()) << "seed " << seed << ": " << difference << "\n"
                                    << report(scenario);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Reference, testing::ValuesIn(known_policies()),
                         [](const auto& info) { return std::string(info.param.name); });

/// The first scenario on which a reference with that fault disagrees.
std::optional<Scenario> found_by(Fault fault) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    for (const char* policy : {"lrtf", "fifo"}) {
      const Scenario scenario = scenarios::draw(seed, policy);
      if (!disagreement(scenario, fault).empty()) return scenario;
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
    if (std::getenv("SHOW"))
      std::cerr << "fault " << f << " " << disagreement(smallest, fault) << "\n"
                << to_string(smallest) << "\n";
  }
}

}  // namespace
}  // namespace shardlab
