#include "cli/profile_report.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/recorded_report.h"
#include "cli/terminal.h"
#include "core/phase.h"
#include "report/table.h"

namespace shardlab {
namespace {

double milliseconds(Duration time) { return seconds(time) * 1e3; }

Duration sum(const ModelProfile& model, LayerTimes LayerCost::*where, Measured LayerTimes::*kind) {
  Duration total{};
  for (const LayerCost& layer : model.layers) total += (layer.*where.*kind).median;
  return total;
}

Duration minibatch(const ModelProfile& model, LayerTimes LayerCost::*where) {
  return sum(model, where, &LayerTimes::recompute) + sum(model, where, &LayerTimes::backward) +
         sum(model, where, &LayerTimes::step);
}

/// Sum of the layers' times alone over a minibatch timed otherwise, less 1; "" where none was.
std::string composition(const ModelProfile& model, const std::optional<Measured>& other) {
  if (!other || other->median <= Duration{}) return "";
  const Duration layers =
      minibatch(model, &LayerCost::alone) + sum(model, &LayerCost::alone, &LayerTimes::forward);
  return fmt::format("{:+.1f}", 100 * (seconds(layers) / seconds(other->median) - 1));
}

/// Spreads of all layers and kinds over their medians.
double spread(const ModelProfile& model) {
  Duration spread{}, median{};
  for (const LayerCost& layer : model.layers) {
    for (const Phase phase : kPhases) {
      const Measured& each = of(layer.loaded, phase);
      spread += each.spread;
      median += each.median;
    }
  }
  return median > Duration{} ? seconds(spread) / seconds(median) : 0;
}

void add_row(TextTable& table, const ModelProfile& model) {
  Bytes parameters = 0;
  for (const LayerCost& layer : model.layers) parameters += layer.parameters;
  const auto cell = [&](Measured LayerTimes::*kind) {
    return fmt::format("{:.2f}", milliseconds(sum(model, &LayerCost::loaded, kind)));
  };
  const double alone = seconds(minibatch(model, &LayerCost::alone));
  const double loaded = seconds(minibatch(model, &LayerCost::loaded));
  table.row({describe(model.model), to_string(model.optimizer), fmt::format("{}", model.batch),
             fmt::format("{}", model.layers.size()),
             fmt::format("{:.2f}", static_cast<double>(parameters) / 4e6),
             cell(&LayerTimes::forward), cell(&LayerTimes::recompute), cell(&LayerTimes::backward),
             cell(&LayerTimes::step), fmt::format("{:.1f}", 100 * spread(model)),
             fmt::format("{:.2f}", alone > 0 ? loaded / alone : 1), composition(model, model.whole),
             composition(model, model.around)});
}

std::string host_text(const char* what, const HostCosts& host) {
  return fmt::format("{}: copies {:.2f} GB/s after {}, {} per unit, {} from unit to unit\n", what,
                     host.copy.bytes_per_second * 1e-9, format_duration(host.copy.latency),
                     format_duration(host.unit_overhead), format_duration(host.dispatch));
}

/// Share of the recorded layers' time alone in which kernels ran; nothing without records.
std::optional<double> busy_share(const Profile& profile) {
  Duration busy{}, all{};
  for (const ModelProfile& model : profile.models) {
    for (const LayerCost& layer : model.layers) {
      for (const Phase phase : kPhases) {
        const Measured& each = of(layer.alone, phase);
        if (!each.busy) continue;
        busy += *each.busy;
        all += each.median;
      }
    }
  }
  if (all == Duration{}) return std::nullopt;
  return seconds(busy) / seconds(all);
}

/// All samples of a profile, and how many of them are outliers.
std::pair<std::int64_t, std::int64_t> samples_and_outliers(const Profile& profile) {
  std::int64_t samples = 0, outliers = 0;
  for (const ModelProfile& model : profile.models) {
    for (const LayerCost& layer : model.layers) {
      for (const LayerTimes* times : {&layer.alone, &layer.loaded}) {
        for (const Phase phase : kPhases) {
          samples += of(*times, phase).samples;
          outliers += of(*times, phase).outliers;
        }
      }
    }
  }
  return {samples, outliers};
}

/// How far the times can be trusted, and what the machine was like.
std::string measurement_text(const Profile& profile) {
  const Provenance& from = profile.provenance;
  std::string text = fmt::format("drift of the machine while profiling (fixed work): {}\n",
                                 format_percent(from.drift));
  const auto [samples, outliers] = samples_and_outliers(profile);
  if (from.repeats) {
    text += fmt::format(
        "medians of minibatches are known to {:.1f} % (95 %, wanted {:.1f} %); ended by {}; {} of "
        "{} samples are outliers, kept\n",
        100 * from.repeats->interval, 100 * from.repeats->wanted, from.repeats->ended, outliers,
        samples);
  } else {
    text += fmt::format(
        "how well medians are known: not told by {} round{}, 6 tell (--rounds, --seconds); {} of "
        "{} "
        "samples are outliers, kept\n",
        from.rounds, from.rounds == 1 ? "" : "s", outliers, samples);
  }
  if (from.allocator_rounding) {
    text += fmt::format("the allocator took {:.2f} % more than it was asked for\n",
                        100 * *from.allocator_rounding);
  }
  return text + conditions_text(from.conditions);
}

std::vector<const ModelProfile*> pointers(const std::vector<ModelProfile>& models) {
  std::vector<const ModelProfile*> result;
  for (const ModelProfile& each : models) result.push_back(&each);
  return result;
}

std::string activity_text(const Profile& profile) {
  const auto& activity = profile.provenance.activity;
  if (!activity) return "";
  const std::string text =
      fmt::format("copies back {:.2f} GB/s after {}\nrecords: {}",
                  profile.alone.copy_back.bytes_per_second * 1e-9,
                  format_duration(profile.alone.copy_back.latency), activity->source);
  const std::optional<double> busy = busy_share(profile);
  if (!busy) return text + "\n";
  std::string events;
  if (activity->over_events) {
    events = fmt::format("records of layers add up to {:.1f} % of events around the minibatches\n",
                         100 * *activity->over_events);
  }
  return text +
         fmt::format(
             "; kernels ran {:.1f} % of the layers' time, {:.1f} % of it in no layer; {} "
             "records lost, {:.1f} % mismatched; recording slows a minibatch by {:.1f} %\n",
             100 * *busy, 100 * activity->unattributed, activity->dropped,
             100 * activity->mismatched, 100 * activity->slow_down) +
         events + recorded_text(pointers(profile.models));
}

}  // namespace

std::string conditions_text(const std::vector<Condition>& conditions) {
  std::string text;
  for (const auto& [what, before, after] : conditions) {
    text += before == after ? fmt::format("{}: {}\n", what, before)
                            : fmt::format("{}: {}, afterwards {}\n", what, before, after);
  }
  return text;
}

Profile profile_with_progress(Engine& engine, const Workload& workload, const Cluster& cluster,
                              const ProfileOptions& options) {
  ProgressLine line;
  return engine.profile(workload, cluster, options, [&](double done, const std::string& doing) {
    line.update(fmt::format("profiling: {:3.0f} %  {}", 100 * done, doing));
  });
}

std::string profile_text(const Profile& profile) {
  TextTable table({"model", "optimizer", "batch", "layers", "parameters M", "forward ms",
                   "recompute ms", "backward ms", "step ms", "spread %", "loaded/alone", "layers %",
                   "around %"});
  for (const ModelProfile& model : profile.models) add_row(table, model);
  const Provenance& from = profile.provenance;
  return fmt::format("{}\nLibTorch {}, {} rounds after {} of warm-up, {} lanes\n\n", from.device,
                     from.libtorch, from.rounds, from.warm_up, from.lanes) +
         table.text() +
         "times with all lanes busy; loaded/alone compares minibatches; layers %: their sum alone "
         "against whole units; around %:\nagainst events (on a CPU, the clock) around the units "
         "that they were timed in\n\n" +
         host_text("alone ", profile.alone) + host_text("loaded", profile.loaded) +
         activity_text(profile) + measurement_text(profile);
}

}  // namespace shardlab
