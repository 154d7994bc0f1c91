#include "policies/registry.h"

#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/fifo.h"
#include "policies/lrtf.h"
#include "policies/prioritized.h"
#include "policies/random.h"
#include "policies/round_robin.h"
#include "policies/srtf.h"

namespace shardlab {
namespace {

struct Entry {
  PolicyInfo info;
  std::unique_ptr<Policy> (*make)(std::size_t tracks, std::uint64_t seed);
};

template <typename P>
std::unique_ptr<Policy> plain(std::size_t tracks, std::uint64_t) {
  return std::make_unique<P>(tracks);
}

constexpr Entry kPolicies[] = {
    {{"lrtf", "longest remaining time first (Hydra's Sharded-LRTF)"}, plain<Lrtf>},
    {{"fifo", "the job that has waited longest since its unit became ready"}, plain<Fifo>},
    {{"srtf", "shortest remaining time first"}, plain<Srtf>},
    {{"round_robin", "the next job after the one picked last"}, plain<RoundRobin>},
    {{"random", "a draw from the plan's seed"},
     [](std::size_t tracks, std::uint64_t seed) -> std::unique_ptr<Policy> {
       return std::make_unique<Random>(tracks, seed);
     }},
};

}  // namespace

std::vector<PolicyInfo> known_policies() {
  std::vector<PolicyInfo> all;
  for (const Entry& entry : kPolicies) all.push_back(entry.info);
  return all;
}

std::unique_ptr<Policy> make_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed) {
  std::string known;
  for (const Entry& entry : kPolicies) {
    if (entry.info.name == name) return entry.make(tracks, seed);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", entry.info.name);
  }
  throw Error(fmt::format("\"{}\" is no policy; there are {}", name, known));
}

std::unique_ptr<Policy> make_policy(const std::string& name, const Program& program,
                                    std::uint64_t seed) {
  std::map<int, std::uint32_t, std::greater<>> classes;
  for (const JobProgram& job : program.jobs) classes.emplace(job.priority, 0);
  if (classes.size() > kMostPriorities) {
    throw Error(fmt::format("the jobs have {} different priorities, at most {} are possible",
                            classes.size(), kMostPriorities));
  }
  if (classes.size() <= 1) return make_policy(name, track_count(program), seed);
  std::vector<std::unique_ptr<Policy>> policies;
  for (auto& [priority, place] : classes) {
    place = static_cast<std::uint32_t>(policies.size());
    policies.push_back(make_policy(name, track_count(program), seed));
  }
  std::vector<std::uint32_t> class_of;
  for (const JobProgram& job : program.jobs) {
    class_of.insert(class_of.end(), tracks_of(job).size(), classes.at(job.priority));
  }
  return std::make_unique<Prioritized>(std::move(policies), std::move(class_of));
}

std::unique_ptr<Policy> make_policy(const Plan& plan, const Program& program, std::size_t devices,
                                    Replay::Times times) {
  if (plan.policy != kReplay) return make_policy(plan.policy, program, plan.seed);
  return std::make_unique<Replay>(plan.order, program, devices, times);
}

}  // namespace shardlab
