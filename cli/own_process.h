#pragma once

#include <string>
#include <vector>

namespace shardlab {

/// Runs this command again with `arguments`, in a process of its own, and waits for its end. What
/// it prints on stdout goes to stderr. Returns its exit status. Throws Error where it cannot be
/// started, or was ended by a signal.
int run_own_process(const std::vector<std::string>& arguments);

}  // namespace shardlab
