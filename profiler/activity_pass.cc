#include "profiler/activity_pass.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "core/error.h"
#include "profiler/activity_totals.h"
#include "profiler/attribution.h"
#include "profiler/range_carrier.h"

namespace shardlab {
namespace {

constexpr int kRepeats = 5;

/// Of one phase of one layer in one repeat; never 0.
std::uint64_t range_id(std::size_t layer, Phase phase, int repeat) {
  return (layer * kRepeats + static_cast<std::size_t>(repeat)) * kPhases.size() +
         static_cast<std::size_t>(phase) + 1;
}

/// A minibatch as a whole, without records.
Duration undisturbed(ModelBench& bench) {
  Surroundings around;
  around.by_layer = false;
  Samples samples;
  std::vector<LayerSamples> ignored;
  for (int i = 0; i < kRepeats; ++i) samples.push_back(bench.run(around, ignored));
  return summarize(std::move(samples)).median;
}

DeviceWork work_of(const RangeTimes& times) {
  return {1, times.kernels + times.sets, times.busy, times.gaps, times.copies};
}

DeviceWork together(const std::vector<RangeTimes>& repeats) {
  DeviceWork sum;
  for (const RangeTimes& each : repeats) add(sum, work_of(each));
  return sum;
}

Duration busy(const std::vector<RangeTimes>& repeats) {
  Samples samples;
  for (const RangeTimes& each : repeats) samples.push_back(each.busy);
  return summarize(std::move(samples)).median;
}

class Recorder {
 public:
  Recorder(ActivitySession& session, ModelBench& bench) : session_(session), bench_(bench) {}

  void run(const TorchDevice& device) {
    undisturbed_ = undisturbed(bench_);
    session_.start();
    Samples recorded;
    {
      RangeCarrier carrier(session_);
      for (int repeat = 0; repeat < kRepeats; ++repeat) {
        Surroundings around;
        around.by_layer = false;
        around.enter_layer = [&](std::size_t layer, Phase phase) {
          carrier.enter(range_id(layer, phase, repeat));
        };
        around.leave_layer = [&] { carrier.leave(); };
        std::vector<LayerSamples> ignored;
        recorded.push_back(bench_.run(around, ignored));
      }
      device.synchronize();
      windows_ = carrier.windows();
    }
    by_events_ = std::accumulate(recorded.begin(), recorded.end(), Duration{});
    recorded_ = summarize(std::move(recorded)).median;
    log_ = session_.stop();
    found_ = attribute(log_, windows_);
  }

  void add_to(ActivityTotals& totals) const {
    totals.add(log_, found_, undisturbed_, recorded_, by_events_);
  }

  void fill(ModelProfile& model) const {
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      LayerCost& layer = model.layers[i];
      for (const Phase phase : kPhases) {
        const std::vector<RangeTimes> taken = repeats(i, phase);
        of(layer.alone, phase).busy = busy(taken);
        layer.recorded[phase] = together(taken);
      }
    }
    model.unattributed = work_of(found_.unattributed);
    model.unattributed->minibatches = kRepeats;
  }

  [[nodiscard]] const ActivityLog& log() const { return log_; }

 private:
  /// Those that CUPTI itself did not get in the way of, if there are any.
  [[nodiscard]] std::vector<RangeTimes> repeats(std::size_t layer, Phase phase) const {
    std::vector<RangeTimes> clean, disturbed;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      const auto range = found_.ranges.find(range_id(layer, phase, repeat));
      const RangeTimes times = range == found_.ranges.end() ? RangeTimes{} : range->second;
      (times.overhead > Duration{} ? disturbed : clean).push_back(times);
    }
    return clean.empty() ? disturbed : clean;
  }

  ActivitySession& session_;
  ModelBench& bench_;
  Duration undisturbed_{}, recorded_{}, by_events_{};
  std::vector<LaunchWindow> windows_;
  ActivityLog log_;
  Attribution found_;
};

}  // namespace

ActivityFacts add_busy_times(Lane& lane, std::vector<ModelProfile>& models) {
  std::string problem;
  const auto session = ActivitySession::open(problem);
  if (session == nullptr) return {.source = "none: " + problem};
  return add_busy_times(*session, lane, models);
}

ActivityFacts add_busy_times(ActivitySession& session, Lane& lane,
                             std::vector<ModelProfile>& models) {
  std::string problem;
  ActivityTotals totals;
  for (std::size_t m = 0; m < models.size(); ++m) {
    Recorder recorder(session, lane.model(m));
    try {
      recorder.run(lane.device());
    } catch (const Error& error) {
      problem += std::string("; ") + error.what();
      totals.miss();
      continue;
    }
    for (const std::string& each : recorder.log().problems) problem += "; " + each;
    if (recorder.log().incomplete || recorder.log().range_errors > 0) totals.miss();
    if (recorder.log().incomplete) continue;
    recorder.add_to(totals);
    recorder.fill(models[m]);
  }
  return totals.facts(problem);
}

}  // namespace shardlab
