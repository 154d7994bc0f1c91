#pragma once

#include <memory>
#include <utility>

#include "sched/policy.h"

namespace shardlab {

/// Another policy, but for what a test has it do otherwise or writes down.
class Wrapped : public Policy {
 public:
  explicit Wrapped(std::unique_ptr<Policy> policy) : policy_(std::move(policy)) {}
  void ready(const Candidate& unit) override { policy_->ready(unit); }
  void gone(TrackId track) override { policy_->gone(track); }
  TrackId pick(const DeviceView& device) override { return policy_->pick(device); }
  void begin(const StateView& view) override { policy_->begin(view); }
  void arrived(JobId job) override { policy_->arrived(job); }
  void completed(JobId job) override { policy_->completed(job); }
  void lost(JobId job) override { policy_->lost(job); }
  void device_lost(DeviceId device) override { policy_->device_lost(device); }
  bool admits(JobId job) override { return policy_->admits(job); }
  DeviceId place(JobId job) override { return policy_->place(job); }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return policy_->keeps(job, device);
  }
  [[nodiscard]] bool patient(TrackId track) const override { return policy_->patient(track); }
  [[nodiscard]] bool lookahead() const override { return policy_->lookahead(); }

 protected:
  std::unique_ptr<Policy> policy_;
};

}  // namespace shardlab
