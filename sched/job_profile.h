#pragma once

#include <memory>

#include "core/profile.h"
#include "core/workload.h"

namespace shardlab {

/// The profile's entry for the job's model and optimizer at `batch`, as what is frozen changes it:
///
///   below the first layer that trains   forward alone, without a graph: no backward comes there
///   frozen parameters                   LayerCost::frozen; no gradient, no state, no step
///   adapters (lora_rank r)              r (in + out) parameters for each matrix of a block, their
///                                       state, and a step in proportion to their parameters
///
/// With adapters, backward takes what it took when all was trained: an upper bound, as weight
/// gradients of the base are not computed. The adapters' own products are not counted.
///
/// Points into `profile` where nothing is frozen. Throws Error when the profile lacks the model or
/// nothing is left to train.
std::shared_ptr<const ModelProfile> job_profile(const Profile& profile, const Job& job, int batch);

}  // namespace shardlab
