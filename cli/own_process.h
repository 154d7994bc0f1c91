#pragma once

#include <string>
#include <vector>

#include "core/time.h"

namespace shardlab {

/// This command, as a program to run.
inline constexpr const char* kThisCommand = "/proc/self/exe";

/// Runs `program` with `arguments` in a process of its own, and waits for its end. What it prints
/// on stdout goes to stderr. Returns its exit status. Throws Error where it cannot be started, was
/// ended by a signal, or has not ended after `limit`; then it is killed.
int run_own_process(const std::string& program, const std::vector<std::string>& arguments,
                    Duration limit);

}  // namespace shardlab
