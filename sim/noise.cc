#include "sim/noise.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/quantile.h"
#include "sched/job_profile.h"
#include "sched/partitioned.h"
#include "sched/phases.h"

namespace shardlab {
namespace {

/// Median and variation of a sum of layers' times, in nanoseconds.
class Sum {
 public:
  explicit Sum(Layers layers) : layers_(layers) {}

  void add(const Measured& time) {
    const auto spread = static_cast<double>(time.spread.count());
    median_ += static_cast<double>(time.median.count());
    spread_ += layers_ == Layers::kTogether ? spread : spread * spread;
  }
  [[nodiscard]] Ratio ratio() const {
    // Quartiles of a normal distribution lie 1.349 standard deviations apart.
    const double deviation =
        (layers_ == Layers::kTogether ? spread_ : std::sqrt(spread_)) / 1.3489795003921634;
    if (median_ <= 0 || deviation <= 0) return Fixed{};
    return Lognormal(deviation / median_);
  }

 private:
  Layers layers_;
  double median_ = 0, spread_ = 0;
};

/// The layers of one shard in one job.
struct Shards {
  const ModelProfile& model;
  const JobPlan& plan;

  static void add(Sum& sum, const LayerTimes& layer, Phases phases) {
    if (phases.forward) sum.add(layer.forward);
    if (phases.recompute) sum.add(layer.recompute);
    if (phases.backward) sum.add(layer.backward);
    if (phases.step) sum.add(layer.step);
  }
  [[nodiscard]] Noise::OfUnit noise(const Unit& unit, Layers layers, bool on_host) const {
    Sum alone(layers), loaded(layers);
    Phases phases = phases_of(unit.kind, unit.shard, plan);
    phases.step = phases.step && !on_host;
    for (const LayerCost& layer : of(static_cast<std::size_t>(unit.shard))) {
      add(alone, layer.alone, phases);
      add(loaded, layer.loaded, phases);
    }
    return {alone.ratio(), loaded.ratio()};
  }
  [[nodiscard]] std::vector<Ratio> host_steps(Layers layers) const {
    std::vector<Ratio> ratios;
    for (std::size_t shard = 0; shard < plan.first_layer.size(); ++shard) {
      Sum sum(layers);
      for (const LayerCost& layer : of(shard)) {
        if (layer.host_step) sum.add(*layer.host_step);
      }
      ratios.push_back(sum.ratio());
    }
    return ratios;
  }
  [[nodiscard]] std::span<const LayerCost> of(std::size_t shard) const {
    const auto first = static_cast<std::size_t>(plan.first_layer[shard]);
    const std::size_t end = shard + 1 < plan.first_layer.size()
                                ? static_cast<std::size_t>(plan.first_layer[shard + 1])
                                : model.layers.size();
    return std::span(model.layers).subspan(first, end - first);
  }
};

/// Divides by the median; too few say nothing about how they vary.
void append_ratios(const std::vector<Duration>& times, std::vector<double>& ratios) {
  constexpr std::size_t kFewest = 3;
  const Duration middle = median(times);
  if (times.size() < kFewest || middle <= Duration{}) return;
  for (const Duration time : times) {
    ratios.push_back(static_cast<double>(time.count()) / static_cast<double>(middle.count()));
  }
}

Ratio resampled(std::vector<double> ratios) {
  return ratios.empty() ? Ratio(Fixed{}) : Ratio(Resampled(std::move(ratios)));
}

}  // namespace

const Ratio& Noise::of(const UnitRun& run, UnitKind kind) const {
  if (each_unit.empty()) return units.at(static_cast<std::size_t>(kind));
  const OfUnit& unit = each_unit[index(run.job)][run.unit];
  return run.loaded ? unit.loaded : unit.alone;
}

Noise profiled_noise(const Workload& workload, const Profile& profile, const Plan& plan,
                     const Program& program, Layers layers) {
  Noise noise;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const Job& job = workload.jobs[j];
    const std::vector<Unit>& units = program.jobs[j].units;
    const JobPlan& cut = plan.jobs[j];
    const int batch = microbatch_size(job.batch, cut.microbatches, cut.replicas);
    const auto entry = job_profile(profile, job, batch);
    const Shards shards{*entry, cut};
    auto& of_job = noise.each_unit.emplace_back();
    const std::vector<bool> on_host = shards_on_host(program.jobs[j]);
    for (const Unit& unit : units) {
      const bool steps_there = !on_host.empty() && on_host[static_cast<std::size_t>(unit.shard)];
      of_job.push_back(shards.noise(unit, layers, steps_there));
    }
    noise.each_host_step.push_back(shards.host_steps(layers));
  }
  return noise;
}

Noise::ByKind measured_unit_noise(const Timeline& timeline) {
  std::map<std::tuple<UnitKind, JobId, std::uint32_t>, std::vector<Duration>> times;
  for (const UnitSpan& span : timeline.units) {
    times[{span.kind, span.job, span.unit}].push_back(span.to - span.from);
  }
  std::array<std::vector<double>, std::tuple_size_v<Noise::ByKind>> by_kind;
  std::vector<double> all;
  for (const auto& [key, same] : times) {
    append_ratios(same, by_kind.at(static_cast<std::size_t>(std::get<UnitKind>(key))));
    append_ratios(same, all);
  }
  if (all.empty()) {
    throw Error(
        "no unit ran in three or more minibatches, so it does not say how they vary; give the "
        "timeline of a longer run, or a distribution such as lognormal:0.1");
  }
  Noise::ByKind noise;
  noise.fill(Resampled(std::move(all)));
  for (std::size_t kind = 0; kind < by_kind.size(); ++kind) {
    if (!by_kind[kind].empty()) noise[kind] = Resampled(std::move(by_kind[kind]));
  }
  return noise;
}

Ratio measured_host_step_noise(const Timeline& timeline) {
  std::map<std::tuple<JobId, std::int32_t, std::int32_t>, std::vector<Duration>> times;
  for (const CopySpan& span : timeline.copies) {
    if (span.step_from == Instant{}) continue;
    times[{span.job, span.shard, span.replica}].push_back(span.done - span.step_from);
  }
  std::vector<double> ratios;
  for (const auto& [key, same] : times) append_ratios(same, ratios);
  return resampled(std::move(ratios));
}

Ratio measured_dispatch_noise(const Timeline& timeline) {
  std::vector<Duration> times;
  for (const UnitSpan& span : timeline.units) times.push_back(span.from - span.arrived);
  std::vector<double> ratios;
  append_ratios(times, ratios);
  return resampled(std::move(ratios));
}

Noise::ByDirection measured_copy_noise(const Timeline& timeline) {
  using Key = std::tuple<Direction, JobId, ItemKind, std::int32_t, std::int32_t, std::int32_t>;
  std::map<Key, std::vector<Duration>> times;
  for (const CopySpan& span : timeline.copies) {
    const Duration by_lane = span.lane_to - span.lane_from;
    times[{span.direction, span.job, span.item, span.shard, span.microbatch, span.replica}]
        .push_back(by_lane > Duration{} ? by_lane : span.link_to - span.link_from);
  }
  std::array<std::vector<double>, std::tuple_size_v<Noise::ByDirection>> ratios;
  for (const auto& [key, same] : times) {
    append_ratios(same, ratios.at(static_cast<std::size_t>(std::get<Direction>(key))));
  }
  Noise::ByDirection noise;
  for (std::size_t direction = 0; direction < ratios.size(); ++direction) {
    noise[direction] = resampled(std::move(ratios[direction]));
  }
  return noise;
}

}  // namespace shardlab
