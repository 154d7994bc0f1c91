#include <fmt/format.h>

#include "report/comparison.h"
#include "report/device_table.h"
#include "report/metrics.h"

namespace shardlab {
namespace {

/// "+1.234 s (+5.6 %)" of the measured makespan.
std::string part(Duration part, Instant measured) {
  return fmt::format("{:+.3f} s ({:+.1f} %)", seconds(part),
                     100 * seconds(part) / seconds(measured));
}

std::string makespans(const Comparison& comparison) {
  const auto estimate = [&](const char* what, Duration time, double error) {
    return fmt::format("  {:<15} {:9.3f} s   the run took {:+.1f} %\n", what, seconds(time),
                       100 * error);
  };
  return fmt::format("  {:<15} {:9.3f} s\n", "measured", seconds(comparison.measured.makespan)) +
         estimate("predicted", comparison.predicted.makespan.time_since_epoch(),
                  comparison.error()) +
         estimate("naive estimate", comparison.naive, comparison.naive_error()) +
         fmt::format("  {:<15} {:9.3f} s   by {}; predicted is {:.1f} % above it\n", "lower bound",
                     seconds(comparison.lower_bound), comparison.bound_by, 100 * comparison.gap());
}

std::string split_text(const Comparison& comparison) {
  const Instant measured = comparison.measured.makespan;
  const ErrorSplit& split = comparison.split;
  return fmt::format(
      "measured - predicted = {}, of which\n"
      "  {} profile: kinds of units and copies took another time than profiled\n"
      "  {} contention: variation from unit to unit\n"
      "  {} changed decisions: units ended in another order\n"
      "  {} dispatch: outside units and copies; measured times simulated again give {:.3f} s\n",
      part(split.sum(), measured), part(split.profile, measured), part(split.contention, measured),
      part(split.decisions, measured), part(split.dispatch, measured),
      seconds(comparison.replayed.makespan));
}

}  // namespace

std::string comparison_text(const Comparison& comparison, const DrawingOptions& options) {
  std::string text = fmt::format("{}\n{}", comparison.measured.plan, makespans(comparison));
  if (!comparison.note.empty()) text += "note: " + comparison.note + "\n";
  text += split_text(comparison);
  for (const Timeline* timeline : {&comparison.predicted, &comparison.measured}) {
    const Metrics found = metrics(*timeline);
    text += fmt::format("\n{}: {} moved between host and devices\n{}{}", timeline->source,
                        format_bytes(found.bytes_moved()), device_table(*timeline, found),
                        draw(*timeline, options));
  }
  return text;
}

}  // namespace shardlab
