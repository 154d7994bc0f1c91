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
  std::string_view rule;    ///< One line, for help texts.
  bool usual = true;        ///< Ranked and swept where no policy is named.
  std::string_view form{};  ///< How its parameter is written, if it has one: "sticky(S)".
};

/// What `--policy search` is called: no policy that decides as it goes, but one that is searched
/// for (planning/search.h) and followed to the letter.
inline constexpr const char* kSearchPolicy = "search";
inline constexpr const char* kSearchRule =
    "the best order that a search from sharp finds in a given time";

/// All policies that can be named in a plan or on the command line, the default first.
std::vector<PolicyInfo> known_policies();

/// Names and rules, one per line, for help texts.
std::string policies_text();

/// A fresh policy for `tracks` tracks (see track_count()); `seed` is used by those that draw. A
/// name is one of the known, with its parameter in parentheses if it has one ("sticky(1.5)",
/// "sticky"), or the path of a shared object: "./libmine.so", "so:mine" (see policies/external.h).
/// Throws Error naming the known ones and the nearest, or what is wrong with the parameter or the
/// shared object; of search and replay, which are of plans, how to come by one.
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
