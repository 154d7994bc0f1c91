#pragma once

#include <cstdint>
#include <string>

#include "core/cluster.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/program.h"

namespace shardlab {

/// One workload on one cluster, small enough to be run under several policies in seconds.
struct RankingCase {
  std::string name;
  Workload workload;
  Cluster cluster;
  Profile profile;
};

/// Claims per device that cases are made for: with double buffering.
constexpr int kRankingSlots = 2;

/// The models that cases for CPU devices are drawn from, a job each, and devices to profile them
/// on. `text` is the data of all jobs.
Workload ranking_models(const std::string& text);
Cluster ranking_devices();

/// Four to six jobs of those models, of lengths drawn within a factor of ten, on two CPU devices of
/// one thread. Memory of 1.1 to 3 times what the largest unit needs, links that take 0.1 to 0.7 of
/// the computing, so many minibatches that the computing takes about 0.65 seconds per device: by
/// `profile`, which holds all models. Everything else is a function of (seed, number).
RankingCase draw_cpu_case(std::uint64_t seed, int number, const Profile& profile,
                          const std::string& text);

/// 16 to 28 jobs of made-up costs on eight emulated devices of up to three speeds, with
/// memory and links as above; half a second of computing per device. A function of (seed, number).
RankingCase draw_emulated_case(std::uint64_t seed, int number);

/// The program as a model of computing alone has it: no dispatch, no copies, no buffering; and a
/// cluster with neither budgets nor links.
Program computing_alone(Program program);
Cluster computing_alone(const Cluster& cluster);

}  // namespace shardlab
