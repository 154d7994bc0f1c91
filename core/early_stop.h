#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shardlab {

/// A loss after so many minibatches.
struct CurvePoint {
  std::int64_t minibatch = 0;
  double loss = 0;
};
/// One job's loss, by ascending minibatch, at least one point. Linear between points, the first and
/// the last value held outside.
using LearningCurve = std::vector<CurvePoint>;

enum class StopMethod : std::uint8_t { kSuccessiveHalving, kAsha, kHyperband };

/// Which jobs of a workload stop early, judged by their losses. See policies/ for the rules.
struct EarlyStop {
  StopMethod method{};
  std::int64_t eta = 3;  ///< One in so many goes on from a rung.
  /// Minibatches of the first rung (not of kHyperband), and of those who are never stopped.
  std::int64_t least = 1, most = 0;
  std::string curves_file;            ///< Empty: losses are drawn from `seed`.
  std::vector<LearningCurve> curves;  ///< Per job, read from that file.
  std::uint64_t seed = 1;
};

std::string to_string(StopMethod method);  ///< "successive_halving"

/// Throws Error naming the known ones.
StopMethod parse_stop_method(const std::string& name);

}  // namespace shardlab
