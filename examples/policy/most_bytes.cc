// A policy outside the tree: the unit of which the device has most of the data already; of equals,
// the job with the longest remaining time. Build and use it as the README of this folder says.

#include <cstdint>
#include <tuple>
#include <vector>

#include "sched/policy_factory.h"

namespace {

class MostBytes final : public shardlab::Policy {
 public:
  MostBytes(std::size_t tracks, std::uint64_t /*seed*/) : ready_(tracks), there_(tracks) {}

  void begin(const shardlab::StateView& view) override { view_ = &view; }
  void ready(const shardlab::Candidate& unit) override {
    ready_[index(unit.track)] = unit;
    there_[index(unit.track)] = true;
  }
  void gone(shardlab::TrackId track) override { there_[index(track)] = false; }

  shardlab::TrackId pick(const shardlab::DeviceView& device) override {
    shardlab::TrackId best = shardlab::kNoTrack;
    std::tuple<shardlab::Bytes, std::int64_t> most{-1, 0};
    for (std::size_t track = 0; track < ready_.size(); ++track) {
      const shardlab::Candidate& unit = ready_[track];
      if (!there_[track]) continue;
      if (unit.bound != shardlab::kNoDevice && unit.bound != device.id) continue;
      const std::tuple here{view_->present(unit.job, unit.unit, device.id), unit.remaining.count()};
      if (here <= most) continue;
      most = here;
      best = unit.track;
    }
    if (best != shardlab::kNoTrack) gone(best);
    return best;
  }

 private:
  const shardlab::StateView* view_ = nullptr;
  std::vector<shardlab::Candidate> ready_;  // Per track.
  std::vector<bool> there_;                 // Per track: it can be picked.
};

}  // namespace

SHARDLAB_POLICY(MostBytes)
