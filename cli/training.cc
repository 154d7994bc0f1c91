#include "cli/training.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/reporter.h"
#include "policies/registry.h"
#include "report/table.h"
#include "traces/atomic_file.h"
#include "traces/chrome_trace.h"
#include "traces/plan_file.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

std::vector<std::vector<int>> first_layers(const Plan& plan) {
  std::vector<std::vector<int>> all;
  for (const JobPlan& job : plan.jobs) all.push_back(job.first_layer);
  return all;
}

}  // namespace

bool Trained::complete() const {
  const auto& ends = result.timeline.ends;
  return !result.timeline.interrupted &&
         std::all_of(ends.begin(), ends.end(), [](const JobEnd& end) { return end.completed; });
}

std::optional<double> Trained::drift(const Profile& profile) const {
  const double reference = seconds(profile.provenance.fixed_work);
  if (reference == 0) return std::nullopt;
  return (seconds(work_before) + seconds(work_after)) / (2 * reference) - 1;
}

Trained train(Engine& engine, const Inputs& inputs, const Prediction& prediction, bool events) {
  Trained trained;
  const auto policy =
      make_policy(prediction.plan.policy, prediction.program.jobs.size(), prediction.plan.seed);
  trained.work_before = engine.fixed_work(inputs.cluster);
  {
    const Interrupt interrupt;
    Reporter reporter(inputs, prediction, events);
    RunOptions options;
    options.progress = [&](const RunProgress& now) { reporter(now); };
    options.stop = &interrupt.stop();
    trained.result = engine.run(inputs.workload, inputs.cluster, prediction.program,
                                first_layers(prediction.plan), *policy, options);
  }
  trained.result.timeline.plan = prediction.plan.name;
  trained.work_after = engine.fixed_work(inputs.cluster);
  return trained;
}

void write_run(const std::string& folder, const Prediction& prediction, const Trained& trained) {
  make_folder(folder);
  const Timeline& measured = trained.result.timeline;
  write_plan(folder + "/plan.json", prediction.plan);
  write_timeline(folder + "/timeline.json", measured);
  std::vector<const Timeline*> drawn;
  if (!prediction.timeline.units.empty()) {
    write_timeline(folder + "/predicted.json", prediction.timeline);
    drawn.push_back(&prediction.timeline);
  }
  drawn.push_back(&measured);
  write_chrome_trace(folder + "/trace.json", drawn);
  write_file_atomically(folder + "/losses.json", losses_json(trained).dump(1) + "\n");
}

std::string losses_text(const Trained& trained) {
  TextTable table({"job", "minibatches", "first loss", "last loss", "end s", "stopped because"});
  const Timeline& timeline = trained.result.timeline;
  for (std::size_t j = 0; j < timeline.jobs.size(); ++j) {
    const auto& losses = trained.result.jobs[j].losses;
    const JobEnd& end = timeline.ends[j];
    const auto loss = [&](bool last) {
      return losses.empty() ? "-" : fmt::format("{:.4f}", last ? losses.back() : losses.front());
    };
    table.row({timeline.jobs[j], fmt::format("{}", end.minibatches), loss(false), loss(true),
               fmt::format("{:.3f}", seconds(end.at)), end.reason});
  }
  return table.text();
}

nlohmann::ordered_json losses_json(const Trained& trained) {
  nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
  const Timeline& timeline = trained.result.timeline;
  for (std::size_t j = 0; j < timeline.jobs.size(); ++j) {
    const TrainedJob& job = trained.result.jobs[j];
    const JobEnd& end = timeline.ends[j];
    jobs.push_back({{"name", timeline.jobs[j]},
                    {"completed", end.completed},
                    {"reason", end.reason},
                    {"minibatches", end.minibatches},
                    {"weights_hash", end.completed ? nlohmann::ordered_json(
                                                         fmt::format("{:016x}", job.weights_hash))
                                                   : nlohmann::ordered_json(nullptr)},
                    {"losses", job.losses}});
  }
  return {{"format", "shardlab-losses"}, {"version", 1}, {"jobs", jobs}};
}

}  // namespace shardlab
