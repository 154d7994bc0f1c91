#include "cli/demo_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/metrics.h"
#include "report/table.h"

namespace shardlab {
namespace {

std::string percent(double fraction) { return fmt::format("{:.1f}", 100 * fraction); }

/// "12.3 12.5 12.9".
std::string all_makespans(const MeasuredPlan& plan) {
  std::string text;
  for (const Comparison& run : plan.runs) {
    text += fmt::format("{}{:.2f}", text.empty() ? "" : " ", seconds(run.measured.makespan));
  }
  return text;
}

}  // namespace

std::string jobs_text(const Inputs& inputs) {
  Bytes budget = kUnlimited;
  for (const DeviceSpec& device : inputs.cluster.devices) budget = std::min(budget, device.memory);
  TextTable table({"job", "model", "optimizer", "bytes of text per minibatch", "minibatches",
                   "parameters, gradients and state MiB", "of a device"});
  for (const Job& job : inputs.workload.jobs) {
    const ModelProfile& model = find(inputs.profile, job.model, job.batch, job.optimizer.kind);
    Bytes bytes = 0;
    for (const LayerCost& layer : model.layers) bytes += 2 * layer.parameters + layer.state;
    table.row({job.name, describe(job.model), to_string(job.optimizer.kind),
               fmt::format("{}", job.batch * job.model.context), fmt::format("{}", job.minibatches),
               format_mebibytes(bytes),
               budget == kUnlimited ? "-"
                                    : fmt::format("{:.2f}", static_cast<double>(bytes) /
                                                                static_cast<double>(budget))});
  }
  return table.text();
}

std::string measured_text(const std::vector<MeasuredPlan>& plans) {
  TextTable table({"plan", "predicted s", "measured s", "error %", "all runs s", "naive s",
                   "occupied %", "busy %", "useful %", "moved MiB", "drift %"});
  for (const MeasuredPlan& plan : plans) {
    const Comparison& middle = plan.runs.at(plan.median());
    const Metrics found = metrics(middle.measured);
    table.row({plan.plan.name, fmt::format("{:.2f}", seconds(middle.predicted.makespan)),
               fmt::format("{:.2f}", plan.measured_s()), percent(middle.error()),
               all_makespans(plan), fmt::format("{:.2f}", seconds(middle.naive)),
               percent(found.occupied()), percent(found.busy()), percent(found.useful()),
               format_mebibytes(found.bytes_moved()), percent(plan.largest_drift())});
  }
  std::string text =
      table.text() +
      "measured: median; drift: fixed work around the runs against while profiling\n\n";
  for (std::size_t i = 1; i < plans.size(); ++i) {
    text += fmt::format("{} is {:.2f} times as fast as {}\n", plans[0].plan.name,
                        plans[i].measured_s() / plans[0].measured_s(), plans[i].plan.name);
  }
  return text;
}

std::string overhead_text(const MeasuredPlan& plan) {
  const Metrics found = metrics(plan.runs.at(plan.median()).measured);
  return fmt::format("{}: {} of devices x time was no unit's computation: {}\n", plan.plan.name,
                     format_percent(found.overhead()), idle_text(idle(found)));
}

}  // namespace shardlab
