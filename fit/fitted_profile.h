#pragma once

#include <optional>
#include <vector>

#include "core/profile.h"
#include "core/workload.h"
#include "fit/accepted.h"
#include "fit/estimator.h"
#include "fit/layer_work.h"
#include "traces/data_sheet_file.h"

namespace shardlab {

/// The models of several profiles as one profile; what belongs to the host, as the mean. Throws
/// Error naming both values where they are of different devices, LibTorch versions (unless
/// accepted) or lanes, hold an imported model in two precisions (unless accepted) or a model twice.
/// Requires: at least one.
Profile merged(std::vector<Profile> profiles, const Accepted& accepted);

/// From one device's data sheet to another's.
struct OtherDevice {
  DataSheet from, to;
  /// What imported models computed their matrix products in, of which the profile does not say it.
  std::optional<Precision> imported_precision = std::nullopt;
};

/// A profile of these sizes: measured entries where `measured` has them, estimated ones elsewhere;
/// with `other`, all estimated. Provenance says so. Throws Error when nothing comparable was
/// measured, a data sheet lacks the rate of a precision, or the precision of an imported model is
/// not known, or said to be another than the profile's, unless that is accepted.
Profile fitted(const Profile& measured, const std::vector<Shape>& shapes,
               const std::optional<OtherDevice>& other, const Accepted& accepted = {});

/// Every model of the workload at its batch and at all that divide it: those of microbatches and
/// replicas.
std::vector<Shape> shapes_of(const Workload& workload);

/// Adds estimated entries for those sizes of the workload that the profile lacks, where it holds at
/// least two batches of that width and context (a batch fit); with `accepted.batch`, wherever
/// anything comparable was measured; with `accepted.precision`, of another precision, as it is.
void complete(Profile& profile, const Workload& workload, const Accepted& accepted);

}  // namespace shardlab
