#include "profiler/activity_pass.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "core/error.h"
#include "profiler/activity_session.h"
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

/// Sums over all models.
struct Totals {
  Duration kernels{}, unattributed{};
  Duration undisturbed{}, recorded{};
  std::int64_t dropped = 0;

  void add(const ActivityLog& log, const Attribution& found) {
    for (const auto& [id, times] : found.ranges) kernels += times.busy;
    kernels += found.unattributed.busy;
    unattributed += found.unattributed.busy;
    dropped += log.dropped + log.bad_times + log.early_starts + log.unknown_kinds;
  }
};

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
    recorded_ = summarize(std::move(recorded)).median;
    log_ = session_.stop();
    found_ = attribute(log_, windows_);
  }

  void add_to(Totals& totals) const {
    totals.undisturbed += undisturbed_;
    totals.recorded += recorded_;
    totals.add(log_, found_);
  }

  void fill(ModelProfile& model) const {
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      for (const Phase phase : kPhases) of(model.layers[i].alone, phase).busy = busy(i, phase);
    }
  }

  [[nodiscard]] const ActivityLog& log() const { return log_; }
  [[nodiscard]] const Attribution& found() const { return found_; }

 private:
  [[nodiscard]] Duration busy(std::size_t layer, Phase phase) const {
    Samples samples;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      const auto range = found_.ranges.find(range_id(layer, phase, repeat));
      samples.push_back(range == found_.ranges.end() ? Duration{} : range->second.busy);
    }
    return summarize(std::move(samples)).median;
  }

  ActivitySession& session_;
  ModelBench& bench_;
  Duration undisturbed_{}, recorded_{};
  std::vector<LaunchWindow> windows_;
  ActivityLog log_;
  Attribution found_;
};

}  // namespace

ActivityFacts add_busy_times(Lane& lane, std::vector<ModelProfile>& models) {
  ActivityFacts facts;
  std::string problem;
  const auto session = ActivitySession::open(problem);
  if (session == nullptr) {
    facts.source = "none: " + problem;
    return facts;
  }
  Totals totals;
  std::int64_t by_launch = 0, activities = 0;
  for (std::size_t m = 0; m < models.size(); ++m) {
    Recorder recorder(*session, lane.model(m));
    try {
      recorder.run(lane.device());
    } catch (const Error& error) {
      problem += std::string("; ") + error.what();
      continue;
    }
    for (const std::string& each : recorder.log().problems) problem += "; " + each;
    if (recorder.log().incomplete) continue;
    recorder.add_to(totals);
    recorder.fill(models[m]);
    by_launch += recorder.found().by_launch;
    activities += static_cast<std::int64_t>(recorder.log().activities.size());
  }
  facts.source = "CUPTI activity records" + problem;
  const auto share = [](auto part, auto whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  facts.unattributed = share(totals.unattributed.count(), totals.kernels.count());
  facts.by_launch = share(by_launch, activities);
  facts.slow_down = std::max(
      0.0, share((totals.recorded - totals.undisturbed).count(), totals.undisturbed.count()));
  facts.dropped = totals.dropped;
  return facts;
}

}  // namespace shardlab
