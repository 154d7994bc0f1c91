#pragma once

#include <vector>

#include "sched/state_view.h"

namespace shardlab {

/// What copies would cost each job if it kept no device, against what it computes: by the profile's
/// times and the links' rates, on the mean device. A switch above n devices passes each of them an
/// n-th.
struct CopyLoad {
  struct OfJob {
    double minibatch = 0;  ///< Time that its units compute, in ns.
    double exposed =
        0;  ///< Of a minibatch: loads that no computing hides, in ns. With one slot or no
            ///< copy engine all of them; else of each unit what is longer than it.
    double again = 0;  ///< Of these what must come again although the job stays: the share of it
                       ///< that the smallest device cannot hold.
    double move = 0;   ///< The rest of it, to a device and back, in ns.
  };
  std::vector<OfJob> jobs;
  double work_per_device = 0;  ///< Of all jobs, in ns.
  /// Write-backs after every step over computing, of all jobs: above 1 the way back is too slow.
  double write_back = 0;
  bool any = false;  ///< Some copy takes time.
};

CopyLoad copy_load(const StateView& view);

}  // namespace shardlab
