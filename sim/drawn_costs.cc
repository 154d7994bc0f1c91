#include "sim/drawn_costs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <variant>

#include "core/counter_hash.h"
#include "core/error.h"

namespace shardlab {
namespace {

// Keep draws for different ends apart, also from those of a random policy of the same seed.
constexpr std::uint64_t kUnits = 0x756e697473, kCopies = 0x636f70696573;     // "units", "copies"
constexpr std::uint64_t kDispatch = 0x6469737061746368, kDisk = 0x6469736b;  // "dispatch", "disk"
constexpr std::uint64_t kHostStep = 0x686f737473746570;                      // "hoststep"

double draw_of(const UnitRun& run, const Ratio& ratio, std::uint64_t stream) {
  return draw(ratio,
              open_interval(counter_hash(
                  {stream, index(run.job), static_cast<std::uint64_t>(run.minibatch), run.unit})));
}

Duration rounded(Duration estimate, double ratio) {
  return Duration{std::llround(static_cast<double>(estimate.count()) * ratio)};
}

}  // namespace

DrawnCosts::DrawnCosts(Costs& estimates, const Program& program, const Noise& noise,
                       std::uint64_t seed, std::int64_t replication)
    : estimates_(estimates),
      program_(program),
      noise_(noise),
      unit_stream_(counter_hash({kUnits, seed, static_cast<std::uint64_t>(replication)})),
      copy_stream_(counter_hash({kCopies, seed, static_cast<std::uint64_t>(replication)})),
      dispatch_stream_(counter_hash({kDispatch, seed, static_cast<std::uint64_t>(replication)})),
      disk_stream_(counter_hash({kDisk, seed, static_cast<std::uint64_t>(replication)})),
      step_stream_(counter_hash({kHostStep, seed, static_cast<std::uint64_t>(replication)})),
      copies_(program.jobs.size()),
      gradients_(program.jobs.size()) {
  const auto varies = [](const Ratio& ratio) { return !std::holds_alternative<Fixed>(ratio); };
  all_vary_ = varies(noise.dispatch) || std::ranges::any_of(noise.copies, varies);
}

UnitCost DrawnCosts::unit(const UnitRun& run) {
  const UnitCost cost = estimates_.unit(run);
  const Ratio& ratio = noise_.of(run, program_.jobs[index(run.job)].units[run.unit].kind);
  if (std::holds_alternative<Fixed>(ratio)) return cost;
  const double times = draw_of(run, ratio, unit_stream_);
  return {scaled(cost.total, times), rounded(cost.recompute, times)};
}

Duration DrawnCosts::dispatch(const UnitRun& run, Duration estimate) {
  if (std::holds_alternative<Fixed>(noise_.dispatch)) return estimate;
  return scaled(estimate, draw_of(run, noise_.dispatch, dispatch_stream_));
}

Duration DrawnCosts::disk_copy(std::size_t place, Direction direction, Duration estimate) {
  const Ratio& ratio = noise_.of(direction);
  if (std::holds_alternative<Fixed>(ratio)) return estimate;
  const std::uint64_t before = on_disk_[{place, direction}]++;
  return scaled(
      estimate,
      draw(ratio, open_interval(counter_hash(
                      {disk_stream_, place, static_cast<std::uint64_t>(direction), before}))));
}

Duration DrawnCosts::lane_copy(const Transfer& transfer) {
  return scaled(estimates_.lane_copy(transfer), copy_ratio(transfer));
}

Duration DrawnCosts::engine_copy(const Transfer& transfer, Duration by_link) {
  return scaled(estimates_.engine_copy(transfer, by_link), copy_ratio(transfer));
}

Duration DrawnCosts::host_step(const Transfer& transfer) {
  const std::int32_t shard = program_.jobs[index(transfer.job)].items[transfer.item].shard;
  return scaled(
      estimates_.host_step(transfer),
      ratio_of(transfer, noise_.of_host_step(transfer.job, shard), step_stream_, gradients_));
}

double DrawnCosts::ratio_of(const Transfer& transfer, const Ratio& ratio, std::uint64_t stream,
                            LastCopies& before) {
  if (std::holds_alternative<Fixed>(ratio)) return 1;
  return draw(ratio,
              open_interval(counter_hash(
                  {stream, index(transfer.job), static_cast<std::uint64_t>(transfer.minibatch),
                   transfer.item, static_cast<std::uint64_t>(transfer.direction),
                   number_of(transfer, before)})));
}

std::uint32_t DrawnCosts::number_of(const Transfer& transfer, LastCopies& before) const {
  auto& of_job = before[index(transfer.job)];
  constexpr std::size_t kDirections = std::tuple_size_v<Noise::ByDirection>;
  if (of_job.empty()) of_job.resize(kDirections * program_.jobs[index(transfer.job)].items.size());
  LastCopy& last =
      of_job[kDirections * transfer.item + static_cast<std::size_t>(transfer.direction)];
  last.number = last.minibatch == transfer.minibatch ? last.number + 1 : 0;
  last.minibatch = transfer.minibatch;
  return last.number;
}

Duration DrawnCosts::scaled(Duration estimate, double ratio) {
  if (ratio == 1) return estimate;
  drawn_ns_ += static_cast<double>(estimate.count()) * ratio;
  constexpr double kMost = 0x1p61;  // As of estimates: sched/limits.h.
  if (drawn_ns_ > kMost) {
    throw Error(
        "with this noise the jobs would take more than 73 years; give a smaller coefficient of "
        "variation or fewer minibatches");
  }
  return rounded(estimate, ratio);
}

}  // namespace shardlab
