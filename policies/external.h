#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "sched/policy.h"

namespace shardlab {

/// Whether a policy's name is the path of a shared object: "so:PATH", or anything with a slash or
/// the ending ".so".
bool is_external(const std::string& name);

/// A policy from a shared object that exports a PolicyFactory (sched/policy_factory.h). It stays
/// loaded. Throws Error that names the file and says what is missing, or for which version of the
/// interface it was built.
std::unique_ptr<Policy> load_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed);

}  // namespace shardlab
