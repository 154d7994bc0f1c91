#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "bench/instance.h"
#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/sample_data.h"

namespace shardlab {
namespace {

/// The instances on which bench/ measures our speed against SimPy's, in small. simpy_peer_test.py
/// reads the same lines, `jobs shards minibatches devices makespan_ns`, and asks SimPy.
TEST(Simulator, GivesTheMakespansThatSimPyGives) {
  std::ifstream lines(source_file("tests/fixtures/simpy_peer.txt"));
  int compared = 0;
  for (std::string line; std::getline(lines, line); ++compared) {
    SCOPED_TRACE(line);
    int jobs = 0, shards = 0;
    std::int64_t minibatches = 0, makespan = 0;
    std::size_t devices = 0;
    std::istringstream(line) >> jobs >> shards >> minibatches >> devices >> makespan;
    const Program program = compute_only(jobs, shards, minibatches);
    EstimatedCosts costs(program);
    Timeline timeline;
    const auto policy = make_policy("lrtf", program.jobs.size(), 1);
    const Outcome outcome =
        simulate(program, instances::devices(devices), *policy, costs, &timeline);
    EXPECT_EQ(outcome.makespan.time_since_epoch().count(), makespan);
    std::set<Instant> ends;
    for (const UnitSpan& unit : timeline.units) ends.insert(unit.to);
    EXPECT_EQ(ends.size(), timeline.units.size())
        << "units end together: SimPy takes them one by one, the Driver all at once";
  }
  EXPECT_EQ(compared, 5);
}

}  // namespace
}  // namespace shardlab
