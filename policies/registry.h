#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan.h"
#include "policies/replay.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

struct PolicyInfo {
  std::string_view name;
  std::string_view rule;  ///< One line, for help texts.
};

/// All policies that can be named in a plan or on the command line, the default first.
std::vector<PolicyInfo> known_policies();

/// A fresh policy for `tracks` tracks (see track_count()); `seed` is used by those that draw.
/// Throws Error naming the known ones.
std::unique_ptr<Policy> make_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed);

/// The same for the tracks of a program, whose jobs may have priorities: see
/// policies/prioritized.h. Throws Error when they have more than kMostPriorities.
std::unique_ptr<Policy> make_policy(const std::string& name, const Program& program,
                                    std::uint64_t seed);

/// The policy of a plan: by its name, or of its order on so many devices.
std::unique_ptr<Policy> make_policy(const Plan& plan, const Program& program, std::size_t devices,
                                    Replay::Times times);

}  // namespace shardlab
