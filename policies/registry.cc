#include "policies/registry.h"

#include <fmt/format.h>

#include "core/error.h"
#include "policies/fifo.h"
#include "policies/lrtf.h"
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

}  // namespace shardlab
