#include "sched/policy_factory.h"

/// What a shared object exports that was built with the headers of another version.
extern "C" {
__attribute__((visibility("default"))) extern const shardlab::PolicyFactory shardlab_policy;
const shardlab::PolicyFactory shardlab_policy = {shardlab::kPolicyInterface + 1, nullptr};
}
