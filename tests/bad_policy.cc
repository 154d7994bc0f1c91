#include <stdexcept>
#include <vector>

#include "sched/policy_factory.h"

/// A policy that does what none may; its seed says what.
class BadPolicy : public shardlab::Policy {
 public:
  BadPolicy(std::size_t /*tracks*/, std::uint64_t seed) : seed_(seed) {
    if (seed_ == 1) throw 42;
  }
  void ready(const shardlab::Candidate& unit) override { ready_.push_back(unit.track); }
  void gone(shardlab::TrackId) override {}
  shardlab::TrackId pick(const shardlab::DeviceView&) override {
    if (seed_ == 2) return shardlab::TrackId{123456};
    if (seed_ == 3) return ready_.front();  // Again and again.
    if (seed_ == 4) throw std::runtime_error("I do not like this device");
    return shardlab::kNoTrack;
  }
  bool admits(shardlab::JobId) override { return seed_ != 9; }
  [[nodiscard]] shardlab::Instant awaits(shardlab::Instant now) const override {
    if (seed_ == 7) return now;
    if (seed_ == 8) return shardlab::Instant{} - shardlab::Duration{1};
    return shardlab::kNever;
  }
  shardlab::DeviceId place(shardlab::JobId) override {
    return seed_ == 6 ? shardlab::DeviceId{99} : shardlab::kNoDevice;
  }

 private:
  std::uint64_t seed_;
  std::vector<shardlab::TrackId> ready_;
};

SHARDLAB_POLICY(BadPolicy)
