#include <cmath>

#include <gtest/gtest.h>

#include "core/counter_hash.h"
#include "policies/fifo.h"
#include "sim/simulator.h"
#include "tests/instances.h"

/// Jobs of one unit that arrive as a Poisson process, with exponential service, are a queue whose
/// mean time in the system is known.
namespace shardlab {
namespace {

constexpr double kService = 1e6;  // Mean, in ns.

double exponential(std::uint64_t seed, std::uint64_t what, std::uint64_t job) {
  return -std::log(unit_interval(counter_hash({seed, what, job})));
}

/// `load`: arrivals per second over what `servers` can serve per second.
Program queue(std::size_t jobs, std::size_t servers, double load, std::uint64_t seed) {
  Program program;
  double at = 0;
  for (std::size_t j = 0; j < jobs; ++j) {
    at += exponential(seed, 0, j) * kService / (load * static_cast<double>(servers));
    JobProgram job;
    job.minibatches = 1;
    job.arrival = Instant{Duration{std::llround(at)}};
    Unit unit;
    unit.alone = unit.loaded = {Duration{std::llround(exponential(seed, 1, j) * kService)}, {}};
    job.units.push_back(unit);
    expect(job, false);
    program.jobs.push_back(job);
  }
  return program;
}

/// Mean time in the system over the mean service time.
double mean_time(std::size_t jobs, std::size_t servers, double load, std::uint64_t seed) {
  const Program program = queue(jobs, servers, load, seed);
  Fifo fifo(jobs);
  EstimatedCosts costs(program);
  const Outcome outcome = simulate(program, instances::devices(servers), fifo, costs, nullptr);
  double sum = 0;
  for (const JobEnd& end : outcome.jobs) sum += static_cast<double>((end.at - end.arrived).count());
  return sum / kService / static_cast<double>(jobs);
}

/// Erlang C: the probability of waiting in M/M/c at this load per server.
double erlang_c(std::size_t servers, double load) {
  const double offered = load * static_cast<double>(servers);
  double term = 1, sum = 0;
  for (std::size_t k = 0; k < servers; ++k) {
    sum += term;
    term *= offered / static_cast<double>(k + 1);
  }
  return term / (1 - load) / (sum + term / (1 - load));
}

TEST(Queueing, MeanTimeInTheSystemIsThatOfMMc) {
  constexpr int kReplications = 30;
  constexpr double kStudent = 2.045;  // 95 %, 29 degrees of freedom.
  for (const std::size_t servers : {1u, 3u}) {
    for (const double load : {0.3, 0.7}) {
      const double expected =
          1 + erlang_c(servers, load) / (static_cast<double>(servers) * (1 - load));
      double sum = 0, squares = 0;
      for (std::uint64_t seed = 1; seed <= kReplications; ++seed) {
        const double mean = mean_time(20'000, servers, load, seed);
        sum += mean;
        squares += mean * mean;
      }
      const double mean = sum / kReplications;
      const double deviation =
          std::sqrt((squares / kReplications - mean * mean) * kReplications / (kReplications - 1));
      const double half = kStudent * deviation / std::sqrt(kReplications);
      EXPECT_LT(half, 0.05 * expected);
      // Twice the interval: of four intervals of 95 %, one in five misses somewhere.
      EXPECT_NEAR(mean, expected, 2 * half) << servers << " servers at load " << load;
    }
  }
}

TEST(Queueing, NothingRunsBeforeItArrives) {
  const Program program = queue(2000, 2, 0.8, 7);
  Fifo fifo(2000);
  EstimatedCosts costs(program);
  Timeline timeline;
  simulate(program, instances::devices(2), fifo, costs, &timeline);
  ASSERT_EQ(timeline.units.size(), 2000u);
  for (const UnitSpan& span : timeline.units) {
    EXPECT_GE(span.claimed, program.jobs[index(span.job)].arrival);
  }
}

}  // namespace
}  // namespace shardlab
