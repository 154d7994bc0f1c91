#include "policies/registry.h"

#include <charconv>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "policies/external.h"
#include "policies/fifo.h"
#include "policies/heft.h"
#include "policies/hold.h"
#include "policies/lrtf.h"
#include "policies/lrtf_committed.h"
#include "policies/lrtf_minibatch.h"
#include "policies/prioritized.h"
#include "policies/random.h"
#include "policies/round_robin.h"
#include "policies/sharp.h"
#include "policies/srtf.h"
#include "policies/sticky.h"
#include "policies/task_parallel.h"

namespace shardlab {
namespace {

struct Making {
  std::size_t tracks = 0;
  std::uint64_t seed = 1;
  double parameter = 0;
};

struct Entry {
  PolicyInfo info;
  std::unique_ptr<Policy> (*make)(const Making& making);
  double parameter = 0;  ///< Where none is given; of those with a PolicyInfo::form.
};

template <typename P>
std::unique_ptr<Policy> plain(const Making& making) {
  return std::make_unique<P>(making.tracks);
}

constexpr Entry kPolicies[] = {
    {{"lrtf", "longest remaining time first (Hydra's Sharded-LRTF)"}, plain<Lrtf>},
    {{"sharp", "LRTF that moves jobs seldom where copies are slow, and knows fast devices"},
     plain<Sharp>},
    {{"lrtf_minibatch", "LRTF in whole minibatches, as Hydra's published code", false},
     plain<LrtfMinibatch>},
    {{"lrtf_committed", "LRTF that binds what it prefetches when a unit starts, as that code",
      false},
     plain<LrtfCommitted>},
    {{"fifo", "the job that has waited longest since its unit became ready"}, plain<Fifo>},
    {{"srtf", "shortest remaining time first"}, plain<Srtf>},
    {{"round_robin", "the next job after the one picked last"}, plain<RoundRobin>},
    {{"random", "a draw from the plan's seed"},
     [](const Making& making) -> std::unique_ptr<Policy> {
       return std::make_unique<Random>(making.tracks, making.seed);
     }},
    {{"task_parallel", "whole jobs, longest first, each on one device"}, plain<TaskParallel>},
    {{"heft", "longest remaining time first, each unit where it ends first", false}, plain<Heft>},
    {{"sticky",
      "LRTF, but a device keeps its job until that is S minibatches behind the leader (2)", false,
      "sticky(S)"},
     [](const Making& making) -> std::unique_ptr<Policy> {
       return std::make_unique<Sticky>(making.tracks, making.parameter);
     },
     2},
    {{"hold", "LRTF, but a slow device leaves a job to a faster one rather than delay the end",
      false},
     plain<Hold>},
};

double parse_parameter(const Entry& entry, std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= 1e6)) {
    throw Error(fmt::format("\"{}({})\": the parameter of {} is a number from 0 to 1000000",
                            entry.info.name, text, entry.info.form));
  }
  return value;
}

[[noreturn]] void refuse(const std::string& name) {
  if (name == kSearchPolicy) {
    throw Error(
        "search makes a plan, which others follow: shardlab simulate --policy search --save-plan "
        "FILE, then --plan FILE");
  }
  if (name == kReplay) {
    throw Error(
        "replay follows the order that a plan file has: shardlab simulate --save-plan FILE "
        "--with-order, then --plan FILE");
  }
  std::string known;
  std::vector<std::string_view> names{kSearchPolicy};
  for (const Entry& entry : kPolicies) {
    known += fmt::format("{}, ", entry.info.form.empty() ? entry.info.name : entry.info.form);
    names.push_back(entry.info.name);
  }
  throw Error(fmt::format(
      "\"{}\" is no policy; there are {}{} (of simulate), {} (of plans with an order), and shared "
      "objects by their path (./libmine.so){}",
      name, known, kSearchPolicy, kReplay, suggestion(name.substr(0, name.find('(')), names)));
}

}  // namespace

std::vector<PolicyInfo> known_policies() {
  std::vector<PolicyInfo> all;
  for (const Entry& entry : kPolicies) all.push_back(entry.info);
  return all;
}

std::string policies_text() {
  std::string text;
  for (const Entry& entry : kPolicies) {
    text +=
        fmt::format("{} {:<15} {}\n", entry.info.usual ? " " : "-",
                    entry.info.form.empty() ? entry.info.name : entry.info.form, entry.info.rule);
  }
  return text;
}

std::unique_ptr<Policy> make_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed) {
  if (is_external(name)) return load_policy(name, tracks, seed);
  const std::size_t open = name.find('(');
  const std::string_view word = std::string_view(name).substr(0, open);
  for (const Entry& entry : kPolicies) {
    if (entry.info.name != word) continue;
    Making making{tracks, seed, entry.parameter};
    if (open != std::string::npos) {
      if (entry.info.form.empty() || name.back() != ')') refuse(name);
      making.parameter =
          parse_parameter(entry, std::string_view(name).substr(open + 1, name.size() - open - 2));
    }
    return entry.make(making);
  }
  refuse(name);
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
  return std::make_unique<Replay>(plan, program, devices, times);
}

}  // namespace shardlab
