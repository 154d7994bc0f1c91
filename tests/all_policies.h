#pragma once

#include <string>
#include <vector>

#include "policies/registry.h"
#include "tests/instances.h"

namespace shardlab {

/// What a property test of policies runs under: all that come along, one with a parameter, and the
/// example from outside the tree, where it is built.
inline std::vector<std::string> all_policies() {
  std::vector<std::string> names{"sticky(0.5)"};
  for (const PolicyInfo& policy : known_policies()) names.emplace_back(policy.name);
  if (!instances::external_policy().empty()) names.push_back(instances::external_policy());
  return names;
}

}  // namespace shardlab
