#include "sched/limits.h"

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

/// Jobs of one item each, on a cluster that limits nothing.
std::string error_of_jobs(std::size_t count, Bytes bytes) {
  Program program;
  program.jobs.resize(count);
  for (JobProgram& job : program.jobs) {
    job.items.push_back({ItemKind::kParameters, 0, bytes, true, kNoDevice});
  }
  Cluster cluster;
  cluster.devices.resize(1);
  return error_of([&] { refuse_what_cannot_fit(program, cluster); });
}

TEST(Limits, WhatManyJobsTakeTogetherDoesNotOverflow) {
  EXPECT_EQ(error_of_jobs(4, Bytes{1} << 58), "no error");
  EXPECT_EQ(error_of_jobs(64, Bytes{1} << 58),
            "the jobs need 16.0 EiB of host memory; check the profile's *_bytes, or give "
            "fewer jobs");
}

// A held job's graphs stay on their device; others may go through the host, and would wait there
// for ever for room that never is.
TEST(Limits, AKeptGraphThatMayBeDemotedMustFitTheHost) {
  Program program;
  program.jobs.resize(1);
  program.jobs[0].items.push_back({ItemKind::kGraph, 0, 20, false, kNoDevice});
  Cluster cluster;
  cluster.devices.resize(1);
  cluster.disk.emplace();
  cluster.host_memory = 19;
  const auto error = [&] { return error_of([&] { refuse_what_cannot_fit(program, cluster); }); };
  EXPECT_EQ(error(),
            ": graph of shard 0 need 20 B, the host's memory is 19 B; cut the model into more "
            "shards");
  program.jobs[0].held = true;
  program.jobs[0].peak = {0};
  EXPECT_EQ(error(), "no error");
}

TEST(Limits, AProgramThatWouldFillTheMemoryIsRefused) {
  JobProgram job;
  job.units.resize(3);
  job.items.resize(5);
  EXPECT_EQ(memory_of(job),
            static_cast<Bytes>(sizeof(JobProgram) + 3 * sizeof(Unit) + 5 * sizeof(Item)));
  EXPECT_EQ(error_of([] { refuse_too_large(Bytes{7} << 28, 7, 9); }), "no error");
  EXPECT_EQ(error_of([] { refuse_too_large((Bytes{7} << 28) + 1, 7, 9); }),
            "the units of 7 of the 9 jobs take 1.75 GiB of this machine's memory, more than 1.75 "
            "GiB; simulate fewer jobs or cut them into fewer shards");
}

TEST(Limits, AClusterWithoutDevicesIsRefused) {
  EXPECT_EQ(error_of([] { refuse_what_cannot_fit({}, {}); }), "the cluster has no device");
}

}  // namespace
}  // namespace shardlab
