#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/decision.h"
#include "core/workload.h"
#include "policies/losses.h"
#include "sched/tuner.h"

namespace shardlab {

/// A tuner whose decisions are on record, so that a run that goes on from checkpoints stands by
/// them. What was told and decided before is told to a fresh tuner, with the losses of then; jobs
/// then run to where they were, though their checkpoints may be older, and ask nothing again.
class RecordedTuner final : public Tuner {
 public:
  using Make = std::function<std::unique_ptr<Tuner>(const LossOf&)>;
  using Note = std::function<void(const Decision&)>;
  /// `make` makes the tuner, which is to ask for losses only when it is told that a job came to its
  /// goal; `loss` says them, and `note` is told of decisions after those `before`. Throws Error
  /// where it decides otherwise than those. Requires: `workload` outlives it.
  RecordedTuner(const Workload& workload, const Make& make, LossOf loss,
                const std::vector<Decision>& before, Note note = {});

  [[nodiscard]] std::int64_t goal(JobId job) const override;
  [[nodiscard]] bool waits(JobId job) const override;
  void reached(JobId job, std::int64_t minibatches) override;
  void ended(JobId job) override;
  std::vector<Verdict> decide() override;

  /// No checkpoint of the job holds more minibatches that it was let do.
  [[nodiscard]] std::int64_t most(JobId job) const;

 private:
  struct Place {
    enum class State : std::uint8_t {
      kOnItsWay,
      kWaits,    ///< At `at`, for its verdict.
      kStopped,  ///< It runs to `at` and not further.
      kFailed,   ///< Others were judged without it, so it stays out.
      kEnded
    } state = State::kOnItsWay;
    std::int64_t at = 0;
    std::string reason;
  };

  void tell(const Decision::Told& told);
  std::vector<Verdict> ask();

  const Workload& workload_;
  LossOf loss_of_;
  double loss_ = 0;  ///< Of the job that the tuner is told of.
  std::unique_ptr<Tuner> tuner_;
  std::vector<Place> places_;      ///< Per job.
  std::vector<Verdict> repeated_;  ///< Of jobs that came again to where they had been stopped.
  Decision now_;
  Note note_;
};

}  // namespace shardlab
