#include "policies/tuners.h"

#include <utility>
#include <vector>

#include "policies/asha.h"
#include "policies/hyperband.h"
#include "policies/losses.h"
#include "policies/rungs.h"
#include "policies/stop_after.h"
#include "policies/successive_halving.h"

namespace shardlab {

std::unique_ptr<Tuner> make_tuner(const Workload& workload) {
  return make_tuner(workload, workload.early_stop ? losses(*workload.early_stop) : LossOf{});
}

std::unique_ptr<Tuner> make_tuner(const Workload& workload, const std::vector<Decision>& before) {
  if (before.empty()) return make_tuner(workload);
  return make_recorded_tuner(workload, {}, before);
}

std::unique_ptr<Tuner> make_tuner(const Workload& workload, const LossOf& loss) {
  if (!stops_early(workload)) return nullptr;
  if (!workload.early_stop) return std::make_unique<StopAfter>(workload);
  const EarlyStop& how = *workload.early_stop;
  const std::size_t jobs = workload.jobs.size();
  switch (how.method) {
    case StopMethod::kSuccessiveHalving: {
      std::vector<JobId> all;
      for (std::size_t j = 0; j < jobs; ++j) all.push_back(job_id(j));
      return std::make_unique<SuccessiveHalving>(
          all, geometric_rungs("successive halving", how.eta, how.least, how.most), how.eta, loss);
    }
    case StopMethod::kAsha:
      return std::make_unique<Asha>(jobs, geometric_rungs("ASHA", how.eta, how.least, how.most),
                                    how.eta, loss);
    case StopMethod::kHyperband:
      return std::make_unique<Hyperband>(jobs, how.eta, how.most, loss);
  }
  return nullptr;
}

std::unique_ptr<RecordedTuner> make_recorded_tuner(const Workload& workload, const LossOf& loss,
                                                   const std::vector<Decision>& before,
                                                   RecordedTuner::Note note) {
  const auto make = [&](const LossOf& recorded) { return make_tuner(workload, recorded); };
  return std::make_unique<RecordedTuner>(workload, make, loss ? loss : losses(*workload.early_stop),
                                         before, std::move(note));
}

}  // namespace shardlab
