#include "validate/pipeline_replay.h"

#include <fmt/format.h>

#include "policies/fifo.h"
#include "sched/lower_tracks.h"
#include "sim/costs.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

/// What each pass took, and the overheads.
class PassCosts final : public Costs {
 public:
  PassCosts(const JobProgram& job, int microbatches, const PerseusIteration& iteration,
            const PipelineOverheads& overheads)
      : job_(job), microbatches_(microbatches), iteration_(iteration), overheads_(overheads) {}

  UnitCost unit(const UnitRun& run) override { return {time(job_.units[run.unit]), {}}; }
  Duration lane_copy(const Transfer&) override { return {}; }
  Duration engine_copy(const Transfer&, Duration) override { return {}; }
  Duration host_step(const Transfer&) override { return {}; }

 private:
  [[nodiscard]] Duration time(const Unit& unit) const {
    switch (unit.kind) {
      case UnitKind::kForward:
        return forward(unit);
      case UnitKind::kBackward:
        return backward(unit);
      case UnitKind::kFused:
        return forward(unit) + backward(unit);
      case UnitKind::kStep:
      case UnitKind::kReduce:
        break;
    }
    return overheads_.step;
  }
  [[nodiscard]] const PerseusPass& pass(const Unit& unit) const {
    return iteration_.passes.at(static_cast<std::size_t>(unit.shard * microbatches_) +
                                static_cast<std::size_t>(unit.microbatch));
  }
  [[nodiscard]] Duration forward(const Unit& unit) const {
    const PerseusPass& spent = pass(unit);
    return spent.load + spent.forward + (unit.shard > 0 ? overheads_.transfer : Duration{});
  }
  [[nodiscard]] Duration backward(const Unit& unit) const {
    const bool last = unit.shard + 1 == static_cast<int>(job_.tracks.size());
    // With one microbatch no unit is a step. The first stage ends last, so only its step counts.
    const bool steps = microbatches_ == 1 && unit.shard == 0;
    return pass(unit).backward + (last ? Duration{} : overheads_.transfer) +
           (steps ? overheads_.step : Duration{});
  }

  const JobProgram& job_;
  int microbatches_;
  const PerseusIteration& iteration_;
  const PipelineOverheads& overheads_;
};

}  // namespace

PipelineReplay::PipelineReplay(int stages, int microbatches) : microbatches_(microbatches) {
  JobPlan plan;
  plan.strategy = Strategy::kOneFOneB;
  plan.recompute = false;
  plan.microbatches = microbatches;
  for (int s = 0; s < stages; ++s) {
    cluster_.devices.emplace_back().name = fmt::format("stage {}", s);
    plan.first_layer.push_back(s);
    plan.device.push_back(device_id(static_cast<std::size_t>(s)));
  }
  const std::vector<ShardCost> costs(static_cast<std::size_t>(stages));  // PassCosts has them.
  program_.jobs.push_back(lower_tracks(plan, cluster_, Profile{}, costs));
  JobProgram& job = program_.jobs.front();
  job.name = "pipeline";
  job.minibatches = 1;
  connect(job);
}

Duration PipelineReplay::simulated(const PerseusIteration& iteration,
                                   const PipelineOverheads& overheads) const {
  PassCosts costs(program_.jobs.front(), microbatches_, iteration, overheads);
  Fifo policy(track_count(program_));  // Each device has one track: there is nothing to choose.
  return simulate(program_, cluster_, policy, costs, nullptr).makespan.time_since_epoch();
}

}  // namespace shardlab
