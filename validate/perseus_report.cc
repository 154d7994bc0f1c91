#include "validate/perseus_report.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

char other(char half) { return half == 'a' ? 'b' : 'a'; }

/// The three ways in which runs are predicted; blind ones only where there are any.
struct Predictions {
  std::vector<ValidatedRun> replay, plain, blind;
};

Predictions predictions(const PerseusValidation& found) {
  Predictions all;
  for (const PerseusPrediction& run : found.runs) {
    all.replay.push_back(run.replay);
    all.plain.push_back(run.plain);
    if (run.blind) all.blind.push_back(*run.blind);
  }
  return all;
}

std::string percent(double fraction) { return fmt::format("{:+.2f}", 100 * fraction); }

std::string runs_text(const PerseusValidation& found) {
  TextTable table({"run", "machine", "half", "predicted s", "measured s", "error %",
                   "without overheads %", "blind %"});
  for (const PerseusPrediction& run : found.runs) {
    const std::string& name = run.replay.name;
    table.row({name.substr(0, name.size() - kProfileSuffix.size()), run.machine,
               std::string(1, run.half), fmt::format("{:.3f}", run.replay.predicted_s),
               fmt::format("{:.3f}", run.replay.measured_s), percent(run.replay.signed_error()),
               percent(run.plain.signed_error()),
               run.blind ? percent(run.blind->signed_error()) : "-"});
  }
  return table.text();
}

std::string fits_text(const PerseusValidation& found) {
  TextTable table(
      {"machine", "fitted on half", "runs", "applied to half", "transfer ms", "step ms"});
  for (const PerseusFit& fit : found.fits) {
    table.row({fit.machine, std::string(1, fit.half), fmt::format("{}", fit.runs),
               std::string(1, other(fit.half)),
               fmt::format("{:.3f}", seconds(fit.overheads.transfer) * 1e3),
               fmt::format("{:.1f}", seconds(fit.overheads.step) * 1e3)});
  }
  return table.text();
}

ordered_json fits_json(const PerseusValidation& found) {
  auto list = ordered_json::array();
  for (const PerseusFit& fit : found.fits) {
    list.push_back({{"machine", fit.machine},
                    {"fitted_on", std::string(1, fit.half)},
                    {"applied_to", std::string(1, other(fit.half))},
                    {"runs", fit.runs},
                    {"transfer_s", seconds(fit.overheads.transfer)},
                    {"step_s", seconds(fit.overheads.step)}});
  }
  return list;
}

/// With the statistics over `runs`, unless there are none.
ordered_json part_json(const std::vector<ValidatedRun>& runs) {
  ordered_json list = ordered_json::array();
  for (const ValidatedRun& run : runs) list.push_back(run_json(run));
  ordered_json part{{"runs", std::move(list)}};
  part.update(runs.empty() ? ordered_json{{"median", nullptr}, {"p95", nullptr}, {"worst", nullptr}}
                           : error_summary_json(summarize(runs)));
  return part;
}

}  // namespace

std::string perseus_text(const PerseusValidation& found) {
  const Predictions all = predictions(found);
  std::string text = runs_text(found) +
                     "\nEach run is predicted with what was fitted on the other half of its "
                     "machine's runs:\n" +
                     fits_text(found) +
                     "\nreplay:            " + summary_text(summarize(all.replay)) +
                     "\nwithout overheads: " + summary_text(summarize(all.plain)) + "\n";
  if (!all.blind.empty()) {
    text += "blind:             " + summary_text(summarize(all.blind)) + "\n";
  }
  for (const PerseusRefused& each : found.refused) text += "cannot be used: " + each.reason + "\n";
  return text;
}

ordered_json perseus_json(const PerseusValidation& found) {
  const Predictions all = predictions(found);
  ordered_json json = part_json(all.replay);
  for (std::size_t i = 0; i < found.runs.size(); ++i) {
    ordered_json& run = json["runs"][i];
    run["machine"] = found.runs[i].machine;
    run["half"] = std::string(1, found.runs[i].half);
  }
  json["parameters"] = fits_json(found);
  json["without_parameters"] = error_summary_json(summarize(all.plain));
  json["blind"] = part_json(all.blind);
  json["refused"] = ordered_json::array();
  for (const PerseusRefused& each : found.refused) {
    json["refused"].push_back({{"name", each.name}, {"reason", each.reason}});
  }
  json["warnings"] = found.warnings;
  return json;
}

}  // namespace shardlab
