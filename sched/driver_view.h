#pragma once

#include <span>
#include <vector>

#include "sched/driver.h"
#include "sched/state_view.h"

namespace shardlab {

/// Reads a Driver's state when it is asked. Requires: the Driver to outlive it.
class DriverView final : public StateView {
 public:
  explicit DriverView(const Driver& driver) : driver_(driver) {}

  [[nodiscard]] const Program& program() const override { return driver_.program_; }
  [[nodiscard]] const Cluster& cluster() const override { return driver_.cluster_; }
  [[nodiscard]] Instant now() const override { return driver_.now_; }
  [[nodiscard]] Lane lane(DeviceId device) const override;
  [[nodiscard]] Queue queue(DeviceId device, Direction direction) const override;
  [[nodiscard]] Bytes present(JobId job, std::uint32_t unit, DeviceId device) const override;
  [[nodiscard]] std::span<const DeviceId> holders(JobId job, std::uint32_t unit) const override;
  [[nodiscard]] JobState state(JobId job) const override;
  [[nodiscard]] JobId job(TrackId track) const override { return driver_.ledger_.job(track); }
  [[nodiscard]] std::size_t units_done(TrackId track) const override {
    return driver_.ledger_.units_done(track);
  }
  [[nodiscard]] std::int64_t minibatch(TrackId track) const override {
    return driver_.ledger_.minibatch(track);
  }
  [[nodiscard]] Duration remaining(TrackId track) const override;

 private:
  const Driver& driver_;
  mutable std::vector<DeviceId> holders_;
};

}  // namespace shardlab
