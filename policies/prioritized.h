#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sched/policy.h"

namespace shardlab {

/// More would make every choice slow: each is asked in turn.
constexpr std::size_t kMostPriorities = 64;

/// Priorities under any policy: one of them per priority, which sees the units of that priority
/// alone. A device asks them from the highest on. Nothing that runs or is claimed is taken back.
class Prioritized final : public Policy {
 public:
  /// `policies`, the highest priority first; `class_of` says per track which of them is its.
  Prioritized(std::vector<std::unique_ptr<Policy>> policies, std::vector<std::uint32_t> class_of)
      : policies_(std::move(policies)), class_of_(std::move(class_of)) {}

  void ready(const Candidate& unit) override { of(unit.track).ready(unit); }
  void gone(TrackId track) override { of(track).gone(track); }
  TrackId pick(const DeviceView& device) override {
    for (const auto& policy : policies_) {
      if (const TrackId track = policy->pick(device); track != kNoTrack) return track;
    }
    return kNoTrack;
  }
  void begin(const StateView& view) override {
    for (const auto& policy : policies_) policy->begin(view);
  }
  void arrived(JobId job) override {
    for (const auto& policy : policies_) policy->arrived(job);
  }
  void completed(JobId job) override {
    for (const auto& policy : policies_) policy->completed(job);
  }
  void device_lost(DeviceId device) override {
    for (const auto& policy : policies_) policy->device_lost(device);
  }
  void lost(JobId job) override {
    for (const auto& policy : policies_) policy->lost(job);
  }
  bool admits(JobId job) override {
    return std::ranges::all_of(policies_, [&](const auto& policy) { return policy->admits(job); });
  }
  DeviceId place(JobId job) override { return policies_.front()->place(job); }
  [[nodiscard]] bool lookahead() const override { return policies_.front()->lookahead(); }
  [[nodiscard]] bool patient(TrackId track) const override {
    return policies_[class_of_[index(track)]]->patient(track);
  }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return std::ranges::any_of(policies_,
                               [&](const auto& policy) { return policy->keeps(job, device); });
  }
  [[nodiscard]] bool evicts() const override { return policies_.front()->evicts(); }
  [[nodiscard]] std::string stuck() const override { return policies_.front()->stuck(); }
  std::int64_t worth(JobId job, ItemIndex item, DeviceId device) override {
    return policies_.front()->worth(job, item, device);
  }
  void evicted(JobId job, ItemIndex item, DeviceId device) override {
    for (const auto& policy : policies_) policy->evicted(job, item, device);
  }

 private:
  Policy& of(TrackId track) { return *policies_[class_of_[index(track)]]; }

  std::vector<std::unique_ptr<Policy>> policies_;
  std::vector<std::uint32_t> class_of_;
};

}  // namespace shardlab
