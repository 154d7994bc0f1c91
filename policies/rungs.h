#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace shardlab {

/// Where jobs are compared with each other: after at[0], at[1], ... minibatches. Who passes all of
/// them goes on to `most` and stops there.
struct Rungs {
  std::string method;  ///< "ASHA", for reasons.
  std::vector<std::int64_t> at;
  std::int64_t most = 0;

  [[nodiscard]] std::int64_t goal(std::size_t rung) const {
    return rung < at.size() ? at[rung] : most;
  }
  /// Why a job stops at that rung, or at `most`.
  [[nodiscard]] std::string reason(std::size_t rung) const {
    const std::int64_t n = goal(rung);
    const std::string after = fmt::format("after {} minibatch{}", n, n == 1 ? "" : "es");
    if (rung >= at.size()) return fmt::format("stopped by {} {}, its max", method, after);
    return fmt::format("stopped by {} at rung {} {}", method, rung, after);
  }
};

/// Rungs at least, least * eta, least * eta^2, ... below `most`.
inline Rungs geometric_rungs(std::string method, std::int64_t eta, std::int64_t least,
                             std::int64_t most) {
  Rungs rungs{std::move(method), {}, most};
  for (std::int64_t at = least; at < most; at *= eta) rungs.at.push_back(at);
  return rungs;
}

}  // namespace shardlab
