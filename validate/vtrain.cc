#include "validate/vtrain.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/counter_hash.h"
#include "core/error.h"
#include "core/parallel.h"
#include "report/table.h"
#include "validate/gpt_fit.h"
#include "validate/gpt_simulation.h"

namespace shardlab {
namespace {

constexpr std::size_t kFittedOneIn = 10;
constexpr std::size_t kWorstShown = 10;

ValidatedRun validated(const VtrainValidation::Run& run) {
  return {run.row.name(), run.predicted_s, run.row.measured_s};
}

/// Marks all but a tenth: a row's place in the order follows from the seed and its own index.
void hold_out(std::vector<VtrainValidation::Run>& runs, std::uint64_t seed) {
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return counter_hash({seed, a}) < counter_hash({seed, b});
  });
  for (std::size_t i = runs.size() / kFittedOneIn; i < order.size(); ++i) {
    runs[order[i]].held_out = true;
  }
}

std::vector<VtrainRow> fitted_rows(const std::vector<VtrainValidation::Run>& runs) {
  std::vector<VtrainRow> rows;
  for (const VtrainValidation::Run& run : runs) {
    if (!run.held_out) rows.push_back(run.row);
  }
  return rows;
}

std::string worst_table(const VtrainValidation& validation) {
  std::vector<ValidatedRun> runs;
  for (const VtrainValidation::Run& run : validation.runs) {
    if (run.held_out) runs.push_back(validated(run));
  }
  const std::size_t shown = std::min(runs.size(), kWorstShown);
  std::stable_sort(runs.begin(), runs.end(), [](const ValidatedRun& a, const ValidatedRun& b) {
    return a.error() > b.error();
  });
  TextTable table({"worst of the rows held out", "predicted s", "measured s", "error %"});
  for (const ValidatedRun& run : std::span(runs).first(shown)) {
    table.row({run.name, fmt::format("{:.4f}", run.predicted_s),
               fmt::format("{:.4f}", run.measured_s),
               fmt::format("{:+.2f}", 100 * run.signed_error())});
  }
  return table.text();
}

std::string cost_table(const GptCost& cost) {
  TextTable table({"fitted", "value"});
  for (const GptCostParameter& each : kGptCostParameters) {
    table.row({each.name, fmt::format("{:.3f}", cost.*each.value)});
  }
  return table.text();
}

}  // namespace

ErrorSummary VtrainValidation::errors(bool held_out) const {
  std::vector<ValidatedRun> chosen;
  for (const Run& run : runs) {
    if (run.held_out == held_out) chosen.push_back(validated(run));
  }
  return summarize(chosen);
}

VtrainValidation validate_vtrain(const std::vector<VtrainRow>& rows, std::uint64_t seed) {
  VtrainValidation validation{seed, {}, {}, 0};
  for (const VtrainRow& row : rows) {
    const bool used = row.layout.tensor == 1 && row.layout.devices() <= kMachineDevices;
    if (used) validation.runs.push_back({row, 0, false});
  }
  validation.passed_over = rows.size() - validation.runs.size();
  const std::size_t least = kFittedOneIn * kGptCostParameters.size();
  if (validation.runs.size() < least) {
    throw Error(fmt::format(
        "{} rows with tensor parallelism 1 and up to {} GPUs; {} are needed, as {} costs are "
        "fitted on one in {}",
        validation.runs.size(), kMachineDevices, least, kGptCostParameters.size(), kFittedOneIn));
  }
  hold_out(validation.runs, seed);
  validation.cost = fit_gpt_cost(fitted_rows(validation.runs), simulated_minibatch_s);
  parallel_for(validation.runs.size(), default_threads(), [&](std::size_t i) {
    VtrainValidation::Run& run = validation.runs[i];
    run.predicted_s = simulated_minibatch_s(run.row, validation.cost);
  });
  return validation;
}

std::string vtrain_text(const VtrainValidation& validation) {
  const ErrorSummary held_out = validation.held_out(), fitted = validation.fitted();
  return fmt::format(
      "{} rows; {} passed over (tensor parallelism, or more than {} GPUs)\n"
      "fitted on one in {} (seed {}): {}\n"
      "held out: {}\n\n{}\n{}",
      validation.runs.size(), validation.passed_over, kMachineDevices, kFittedOneIn,
      validation.seed, summary_text(fitted), summary_text(held_out), cost_table(validation.cost),
      worst_table(validation));
}

nlohmann::ordered_json vtrain_json(const VtrainValidation& validation) {
  nlohmann::ordered_json body{{"seed", validation.seed},
                              {"fitted", validation.fitted().runs},
                              {"passed_over", validation.passed_over}};
  for (const GptCostParameter& each : kGptCostParameters) {
    body["parameters"][each.name] = validation.cost.*each.value;
  }
  body.update(error_summary_json(validation.held_out()));
  for (const VtrainValidation::Run& run : validation.runs) {
    nlohmann::ordered_json each = run_json(validated(run));
    each["held_out"] = run.held_out;
    body["runs"].push_back(std::move(each));
  }
  return body;
}

}  // namespace shardlab
