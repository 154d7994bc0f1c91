#include "policies/homes.h"

#include <algorithm>

namespace shardlab {

void Homes::begin(const StateView& view) {
  view_ = &view;
  last_.assign(view.cluster().devices.size(), kNoTrack);
  const CopyCost& copy = view.program().copy_loaded;
  copies_cost_ = copy.bytes_per_second > 0 || copy.latency > Duration{} ||
                 std::ranges::any_of(view.cluster().devices, &DeviceSpec::paced);
  for (const JobProgram& job : view.program().jobs) {
    lasting_.push_back(lasting_bytes(job));
    for (const Unit& unit : job.units) largest_ = std::max(largest_, need(job, unit));
  }
}

bool Homes::fits(JobId job, DeviceId device) const {
  return lasting_[index(job)] + largest_ <= view_->cluster().devices[index(device)].memory;
}

bool Homes::keeps(JobId job, DeviceId device) const {
  const TrackId home = last(device);
  return copies_cost_ && home != kNoTrack && view_->job(home) == job && fits(job, device) &&
         view_->minibatch(home) + 1 < view_->program().jobs[index(job)].minibatches;
}

}  // namespace shardlab
