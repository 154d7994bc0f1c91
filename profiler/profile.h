#pragma once

#include <functional>
#include <string>

#include "core/cluster.h"
#include "core/profile.h"
#include "core/workload.h"

namespace shardlab {

struct ProfileOptions {
  int warm_up = 1;      ///< Rounds thrown away.
  int min_rounds = 3;   ///< Kept, even beyond the time below.
  int max_rounds = 20;  ///< Kept.
  double seconds = 24;  ///< After which no round is started that min_rounds does not ask for.
  /// No round is started either once every minibatch's median_interval() is below it, alone and
  /// loaded.
  /// Never before kRoundsOfInterval: what one round has in common shows between rounds only.
  double interval = 0.02;
};
constexpr int kRoundsOfInterval = 6;

/// Called by the thread that called profile(): the share of the work that is done, 0 to 1, and what
/// is being done. May throw; profile() then stops its threads and throws that.
using Progress = std::function<void(double done, const std::string& doing)>;

/// Costs on this machine of every model, batch and optimizer of `workload`: on one lane at a
/// time, and on as many lanes as `cluster` has devices, all measuring at once, each with its own
/// weights (host memory: lanes x twice the parameters and state of all models). Rounds go over all
/// models, alone and loaded in turn, so that a drifting machine spoils none. Throws Error
/// on an empty workload, on a cluster without devices or with devices of several kinds, and on a
/// model that cannot be made.
Profile profile(const Workload& workload, const Cluster& cluster,
                const ProfileOptions& options = {}, const Progress& progress = {});

/// Takes activity records on the first device of `cluster`, an accelerator, and adds to `profile`,
/// which was made of the same workload, how long kernels ran in each layer. In a process of its
/// own, as recording slows it from then on. Throws Error where the profile is of other models.
void add_records(const Workload& workload, const Cluster& cluster, Profile& profile,
                 const Progress& progress = {});

}  // namespace shardlab
