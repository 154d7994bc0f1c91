#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "sched/policy.h"

namespace shardlab {

/// Adapts a plain function of all candidates to a Policy: the quick way to try an idea. A pick
/// costs O(tracks), 5 to 20 times as much as a CandidateIndex at 64 to 512 jobs.
class ScanPolicy : public Policy {
 public:
  /// Gets the candidates that the device may take, by ascending track; returns a position in them,
  /// or -1 for none.
  using Choose = std::function<int(std::span<const Candidate>, const DeviceView&)>;

  explicit ScanPolicy(Choose choose, bool lookahead = false)
      : choose_(std::move(choose)), lookahead_(lookahead) {}

  void ready(const Candidate& unit) override { candidates_.insert(position(unit.track), unit); }
  void gone(TrackId track) override { candidates_.erase(position(track)); }
  TrackId pick(const DeviceView& device) override {
    allowed_.clear();
    std::copy_if(
        candidates_.begin(), candidates_.end(), std::back_inserter(allowed_),
        [&](const Candidate& unit) { return unit.bound == kNoDevice || unit.bound == device.id; });
    if (allowed_.empty()) return kNoTrack;
    const int chosen = choose_(allowed_, device);
    if (chosen < 0) return kNoTrack;
    const TrackId track = allowed_.at(static_cast<std::size_t>(chosen)).track;
    gone(track);
    return track;
  }
  [[nodiscard]] bool lookahead() const override { return lookahead_; }

 private:
  std::vector<Candidate>::iterator position(TrackId track) {
    return std::lower_bound(candidates_.begin(), candidates_.end(), track,
                            [](const Candidate& unit, TrackId id) { return unit.track < id; });
  }

  Choose choose_;
  bool lookahead_;
  std::vector<Candidate> candidates_, allowed_;
};

}  // namespace shardlab
