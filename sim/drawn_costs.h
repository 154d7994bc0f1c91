#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "sim/costs.h"
#include "sim/noise.h"

namespace shardlab {

/// Other costs, each times a drawn ratio and rounded to nanoseconds.
///
/// A draw depends on the seed, the replication and its place alone: a unit's on (job, minibatch,
/// unit), and so does that of its dispatch; a copy's on (job, minibatch, item, direction, how many
/// of these went before it), a host step's on the same of its gradient; the disk's on (item,
/// direction, how many of these went before it). So what a policy does changes no draw (common
/// random numbers), nor does any other replication.
class DrawnCosts final : public Costs {
 public:
  /// Requires: the references outlive the costs, and `noise` is of this program.
  DrawnCosts(Costs& estimates, const Program& program, const Noise& noise, std::uint64_t seed,
             std::int64_t replication);

  // All throw Error when the durations of a run add up to more than 73 years.
  UnitCost unit(const UnitRun& run) override;
  Duration lane_copy(const Transfer& transfer) override;
  Duration engine_copy(const Transfer& transfer, Duration by_link) override;
  [[nodiscard]] bool all_vary() const override { return all_vary_; }
  Duration dispatch(const UnitRun& run, Duration estimate) override;
  Duration disk_copy(std::size_t place, Direction direction, Duration estimate) override;
  Duration host_step(const Transfer& transfer) override;

 private:
  /// The last copy of an item in one direction.
  struct LastCopy {
    std::int64_t minibatch = -1;
    std::uint32_t number = 0;  // From 0, within the minibatch.
  };
  /// By job; per item and way.
  using LastCopies = std::vector<std::vector<LastCopy>>;
  double ratio_of(const Transfer& transfer, const Ratio& ratio, std::uint64_t stream,
                  LastCopies& before);
  double copy_ratio(const Transfer& transfer) {
    return ratio_of(transfer, noise_.of(transfer.direction), copy_stream_, copies_);
  }
  std::uint32_t number_of(const Transfer& transfer, LastCopies& before) const;
  Duration scaled(Duration estimate, double ratio);

  Costs& estimates_;
  const Program& program_;
  const Noise& noise_;
  std::uint64_t unit_stream_, copy_stream_, dispatch_stream_, disk_stream_, step_stream_;
  bool all_vary_ = false;
  LastCopies copies_, gradients_;
  std::map<std::pair<std::size_t, Direction>, std::uint64_t> on_disk_;  // How many went before.
  double drawn_ns_ = 0;
};

}  // namespace shardlab
