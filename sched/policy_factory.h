#pragma once

#include <cstddef>
#include <cstdint>

#include "sched/policy.h"

namespace shardlab {

/// Raised whenever anything changes that a policy sees: sched/policy.h, sched/state_view.h and what
/// they include.
constexpr std::uint32_t kPolicyInterface = 4;

/// What a shared object with a policy exports, under the name kPolicyFactory. It is read before any
/// function of the object is called.
struct PolicyFactory {
  std::uint32_t version = kPolicyInterface;  ///< Of the headers that it was built with.
  /// A fresh policy for `tracks` tracks; `seed` for those that draw. May throw.
  Policy* (*make)(std::size_t tracks, std::uint64_t seed) = nullptr;
};

constexpr const char* kPolicyFactory = "shardlab_policy";

}  // namespace shardlab

/// Exports class `Which`, which has a constructor (std::size_t tracks, std::uint64_t seed):
/// once per shared object, outside all namespaces.
#define SHARDLAB_POLICY(Which)                                                                 \
  extern "C" {                                                                                 \
  __attribute__((visibility("default"))) extern const shardlab::PolicyFactory shardlab_policy; \
  const shardlab::PolicyFactory shardlab_policy = {                                            \
      shardlab::kPolicyInterface,                                                              \
      [](std::size_t tracks, std::uint64_t seed) -> shardlab::Policy* {                        \
        return new Which(tracks, seed);                                                        \
      }};                                                                                      \
  }
