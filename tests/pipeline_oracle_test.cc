#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

/// What pipelines and replicas take exactly, where copies take no time.
namespace shardlab {
namespace {

using scenarios::Scenario;
using Times = std::vector<std::int64_t>;

struct Pipeline {
  Strategy strategy = Strategy::kGpipe;
  std::int64_t stages = 1, microbatches = 1, chunks = 1, replicas = 1, minibatches = 1;
  Times forward = {}, backward = {};  ///< Per shard, or one for all.
  std::int64_t step = 0;
  std::int64_t saved = 0;  ///< Bytes that a forward keeps for its backward.
  std::int64_t parameters = 0;
  scenarios::Pace peer = {};
};

scenarios::Lowered lower(const Pipeline& pipeline) {
  Scenario scenario;
  scenario.spare.assign(static_cast<std::size_t>(pipeline.stages * pipeline.replicas), -1);
  scenarios::ScenarioJob job;
  job.strategy = pipeline.strategy;
  job.recompute = false;
  job.minibatches = pipeline.minibatches;
  job.microbatches = pipeline.microbatches;
  job.replicas = pipeline.replicas;
  for (std::int64_t s = 0; s < pipeline.stages * pipeline.chunks; ++s) {
    const auto at = [&](const Times& times) {
      return times.size() == 1 ? times[0] : times[static_cast<std::size_t>(s)];
    };
    scenarios::Shard shard;
    shard.forward = shard.recompute = at(pipeline.forward);
    shard.backward = at(pipeline.backward);
    shard.step = pipeline.step;
    shard.saved = pipeline.saved;
    shard.parameters = pipeline.parameters;
    job.shards.push_back(shard);
  }
  for (std::int64_t r = 0; r < pipeline.replicas; ++r) {
    for (std::int64_t s = 0; s < pipeline.stages * pipeline.chunks; ++s) {
      job.bound.push_back(r * pipeline.stages + s % pipeline.stages);
    }
  }
  scenario.jobs = {job};
  scenario.peer = pipeline.peer;
  return scenarios::lower(scenario);
}

Timeline run(const scenarios::Lowered& plan) {
  Timeline timeline;
  EstimatedCosts costs(plan.program);
  const auto policy = make_policy("fifo", track_count(plan.program), 1);
  simulate(plan.program, plan.cluster, *policy, costs, &timeline);
  return timeline;
}

std::int64_t makespan(const Pipeline& pipeline) {
  return run(lower(pipeline)).makespan.time_since_epoch().count();
}

/// All pairs of stages and microbatches up to eight and twelve.
template <typename Check>
void for_all_shapes(const Check& check) {
  for (std::int64_t stages = 1; stages <= 8; ++stages) {
    for (std::int64_t microbatches = 1; microbatches <= 12; ++microbatches) {
      SCOPED_TRACE(testing::Message() << stages << " stages, " << microbatches << " microbatches");
      check(stages, microbatches);
    }
  }
}

// Huang et al., "GPipe" (arXiv 1811.06965); K stages, m microbatches:
//   F0 F1 F2 .  .  B0 B1 B2
//   .  F0 F1 F2 B0 B1 B2 .
TEST(PipelineOracle, GpipeAndOneFOneBTakeTheSameWhenStagesAreEqual) {
  for (const Strategy strategy : {Strategy::kGpipe, Strategy::kOneFOneB}) {
    for_all_shapes([&](std::int64_t stages, std::int64_t microbatches) {
      const Pipeline pipeline{.strategy = strategy,
                              .stages = stages,
                              .microbatches = microbatches,
                              .forward = {3},
                              .backward = {5}};
      EXPECT_EQ(makespan(pipeline), (microbatches + stages - 1) * (3 + 5)) << to_string(strategy);
    });
  }
}

TEST(PipelineOracle, TheBubbleIsWhatStagesWaitAtBothEnds) {
  for_all_shapes([&](std::int64_t stages, std::int64_t microbatches) {
    const auto plan =
        lower({.stages = stages, .microbatches = microbatches, .forward = {3}, .backward = {5}});
    const Timeline timeline = run(plan);
    std::int64_t busy = 0;
    for (const UnitSpan& span : timeline.units) busy += (span.to - span.from).count();
    const std::int64_t all = stages * timeline.makespan.time_since_epoch().count();
    // bubble / all = (K - 1) / (m + K - 1)
    EXPECT_EQ((all - busy) * (microbatches + stages - 1), all * (stages - 1));
  });
}

TEST(PipelineOracle, GpipesSlowestStageSetsThePace) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 generator(seed);
    Pipeline pipeline{.stages = static_cast<std::int64_t>(1 + generator() % 6),
                      .microbatches = static_cast<std::int64_t>(1 + generator() % 9)};
    std::int64_t expected = 0;
    for (Times* times : {&pipeline.forward, &pipeline.backward}) {
      for (std::int64_t s = 0; s < pipeline.stages; ++s) {
        times->push_back(static_cast<std::int64_t>(1 + generator() % 20));
      }
      expected += std::accumulate(times->begin(), times->end(), std::int64_t{0}) +
                  (pipeline.microbatches - 1) * *std::ranges::max_element(*times);
    }
    EXPECT_EQ(makespan(pipeline), expected) << "seed " << seed;
  }
}

/// Microbatches of stage `s` whose forward has begun and whose backward has not ended, at most.
std::int64_t most_live(const Timeline& timeline, std::int32_t s) {
  std::vector<std::pair<Instant, int>> changes;  // At one instant, ends come first.
  for (const UnitSpan& span : timeline.units) {
    if (span.shard != s || span.kind == UnitKind::kStep) continue;
    if (span.kind != UnitKind::kBackward) changes.emplace_back(span.from, 1);
    if (span.kind != UnitKind::kForward) changes.emplace_back(span.to, -1);
  }
  std::ranges::sort(changes);
  std::int64_t now = 0, most = 0;
  for (const auto& [at, change] : changes) most = std::max(most, now += change);
  return most;
}

// Narayanan et al., "Memory-efficient pipeline-parallel DNN training" (arXiv 2006.09503).
TEST(PipelineOracle, OneFOneBKeepsNoMoreMicrobatchesThanStagesFollow) {
  for_all_shapes([&](std::int64_t stages, std::int64_t microbatches) {
    constexpr Bytes kGraph = 1'000'000;
    for (const Strategy strategy : {Strategy::kGpipe, Strategy::kOneFOneB}) {
      const auto plan = lower({.strategy = strategy,
                               .stages = stages,
                               .microbatches = microbatches,
                               .forward = {3},
                               .backward = {5},
                               .saved = kGraph});
      const Timeline timeline = run(plan);
      for (std::int64_t s = 0; s < stages; ++s) {
        const bool gpipe = strategy == Strategy::kGpipe;
        const std::int64_t live = gpipe ? microbatches : std::min(stages - s, microbatches);
        EXPECT_EQ(most_live(timeline, static_cast<std::int32_t>(s)), live) << "stage " << s;
        const Bytes peak = plan.program.jobs[0].peak[static_cast<std::size_t>(s)];
        EXPECT_EQ((peak + kGraph / 2) / kGraph, live) << "stage " << s;
      }
    }
  });
}

// Narayanan et al., "Efficient large-scale language model training on GPU clusters" (arXiv
// 2104.04473, section 2.2): v shards a device make the bubble v times smaller.
TEST(PipelineOracle, InterleavingDividesTheBubbleByTheShardsOfADevice) {
  for (std::int64_t stages = 2; stages <= 5; ++stages) {
    for (std::int64_t chunks = 1; chunks <= 4; ++chunks) {
      for (std::int64_t groups = 1; groups <= 4; ++groups) {
        const std::int64_t microbatches = groups * stages;
        EXPECT_EQ(makespan({.strategy = Strategy::kInterleaved,
                            .stages = stages,
                            .microbatches = microbatches,
                            .chunks = chunks,
                            .forward = {3},
                            .backward = {5}}),
                  (microbatches * chunks + stages - 1) * (3 + 5))
            << stages << " stages, " << microbatches << " microbatches, " << chunks << " chunks";
      }
    }
  }
}

// Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms" (2009): 2 (r - 1) steps, in each of
// which every replica passes 1/r of the gradients on.
TEST(PipelineOracle, ReplicasAddUpTheirGradientsBeforeTheyStep) {
  for (std::int64_t replicas = 2; replicas <= 5; ++replicas) {
    const Pipeline pipeline{.strategy = Strategy::kResident,
                            .replicas = replicas,
                            .minibatches = 3,
                            .forward = {3},
                            .backward = {5},
                            .step = 2,
                            .parameters = 60,
                            .peer = {7, 1}};
    const std::int64_t ring = 2 * (replicas - 1) * (7 + 60 / replicas);
    EXPECT_EQ(makespan(pipeline), 3 * (3 + 5 + ring + 2)) << replicas << " replicas";
  }
}

}  // namespace
}  // namespace shardlab
