#include <algorithm>

#include <fmt/format.h>

#include "policies/order_rows.h"
#include "policies/replay.h"
#include "sched/limits.h"

/// Which row of a plan can never be claimed, as its job finds no room; and what is claimed once
/// something failed that no order foresees.
namespace shardlab {
namespace {

/// What jobs set aside on a device.
class SetAside {
 public:
  SetAside(const StateView& view, const std::vector<DeviceId>& home)
      : view_(view),
        jobs_(view.program().jobs),
        home_(home),
        left_free_(headroom(jobs_, view.cluster().devices.size())) {}

  /// Why the job is not admitted: empty, if not for want of room.
  [[nodiscard]] std::string missing_for(JobId job) const {
    for (std::size_t d = 0; d < left_free_.size(); ++d) {
      const Bytes wanted = by(job, device_id(d));
      const DeviceSpec& device = view_.cluster().devices[d];
      Bytes room = device.memory - left_free_[d];
      std::string others;
      for (std::size_t j = 0; j < jobs_.size(); ++j) {
        const bool there = view_.state(job_id(j)) == StateView::JobState::kRunning ||
                           view_.state(job_id(j)) == StateView::JobState::kPaused;
        const Bytes its = there ? by(job_id(j), device_id(d)) : 0;
        if (its == 0) continue;
        room -= its;
        others += (others.empty() ? "" : ", ") + jobs_[j].name;
      }
      if (wanted <= room) continue;
      return fmt::format(
          "its job is never admitted: it sets {} aside on {}, where {} are free beside {}, which "
          "cannot end before this row: {} are missing; move the row behind them or to a device "
          "with more memory",
          format_exact_bytes(wanted), device.name, format_exact_bytes(room),
          others.empty() ? "what units of other jobs need" : others,
          format_exact_bytes(wanted - room));
    }
    return "";
  }

 private:
  [[nodiscard]] Bytes by(JobId id, DeviceId device) const {
    const JobProgram& job = jobs_[index(id)];
    if (!job.held) return 0;
    if (job.resident) return home_[index(id)] == device ? job.peak.front() : 0;
    return job.peak[index(device)];
  }

  const StateView& view_;
  const std::vector<JobProgram>& jobs_;
  const std::vector<DeviceId>& home_;  ///< Of resident jobs.
  std::vector<Bytes> left_free_;       ///< Per device.
};

}  // namespace

std::string Replay::stuck() const {
  const SetAside aside(*view_, first_device_);
  for (const Device& device : devices_) {
    if (device.next == device.order.size()) continue;
    const auto& [track, number, row, claim] = device.order[device.next];
    if (view_->state(claim.job) != StateView::JobState::kWaiting) continue;
    const std::string why = aside.missing_for(claim.job);
    if (why.empty()) continue;
    const auto place = static_cast<std::size_t>(
        std::count_if(device.order.begin(), device.order.begin() + static_cast<long>(device.next),
                      [](const Place& before) { return !before.claim.given_back; }));
    return "order: " + row_text(view_->program(), view_->cluster(), claim, row, place) + ": " + why;
  }
  return "";
}

TrackId Replay::pick_longest(DeviceId device) {
  const Candidate* best = nullptr;
  for (std::size_t track = 0; track < ready_.size(); ++track) {
    const Candidate& unit = ready_[track];
    const bool may = present_[track] && (unit.bound == kNoDevice || unit.bound == device);
    if (may && (best == nullptr || unit.remaining > best->remaining)) best = &unit;
  }
  if (best == nullptr) return kNoTrack;
  gone(best->track);
  return best->track;
}

}  // namespace shardlab
