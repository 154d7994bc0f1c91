#include "profiler/copy_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <unistd.h>

#include <Eigen/Dense>

#include "core/error.h"
#include "profiler/samples.h"

namespace shardlab {
namespace {

constexpr std::int64_t kSmallest = std::int64_t{64} << 10;
constexpr std::int64_t kLargest = std::int64_t{16} << 20;

/// Floats of an arena that no cache holds.
std::int64_t arena_floats() {
  constexpr std::int64_t kAtMost = std::int64_t{256} << 20;
  const std::int64_t cache = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), 0L);
  return std::clamp(2 * cache, 4 * kLargest, kAtMost) / static_cast<std::int64_t>(sizeof(float));
}

}  // namespace

CopyBench::CopyBench() : from_(arena_floats()), to_(arena_floats()) {}

void CopyBench::run(std::vector<CopySample>& samples) {
  for (std::int64_t bytes = kSmallest; bytes <= kLargest; bytes *= 4) {
    const std::size_t floats = static_cast<std::size_t>(bytes) / sizeof(float);
    if (at_ + floats > from_.span().size()) at_ = 0;
    const Duration time = timed([&] {
      std::memcpy(to_.data() + at_, from_.data() + at_, static_cast<std::size_t>(bytes));
    });
    samples.push_back({bytes, time});
    at_ += floats;
  }
}

CopyCost fit_copy_cost(std::span<const CopySample> samples) {
  std::map<Bytes, Samples> by_size;
  for (const CopySample& sample : samples) by_size[sample.bytes].push_back(sample.time);
  if (by_size.size() < 2)
    throw Error("copies of at least two sizes are needed to fit latency and rate");

  // Each row is divided by its time, so that the residual is the relative error.
  Eigen::MatrixX2d rows(by_size.size(), 2);
  Eigen::Index row = 0;
  for (const auto& [bytes, times] : by_size) {
    const double time = std::max(seconds(summarize(times).median), 1e-9);
    rows.row(row++) << 1.0 / time, static_cast<double>(bytes) / time;
  }
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(rows.rows());
  Eigen::Vector2d line = rows.colPivHouseholderQr().solve(ones);
  if (line[0] < 0 || line[1] <= 0) {
    const Eigen::VectorXd slope = rows.col(1);
    line << 0.0, slope.dot(ones) / slope.squaredNorm();
  }
  return {Duration(std::llround(line[0] * 1e9)), 1.0 / line[1]};
}

}  // namespace shardlab
