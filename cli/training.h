#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/checkpoints.h"
#include "cli/engine.h"
#include "cli/prediction.h"
#include "policies/losses.h"
#include "profiler/activity.h"

namespace shardlab {

/// A run and the machine's state around it.
struct Trained {
  RunResult result;
  /// Engine::fixed_work() without devices that were lost; 0 of an emulated run.
  Duration work_before{}, work_after{};
  std::optional<ActivityLog> records;  ///< Where they were asked for.
  std::vector<std::string> notices;    ///< What went wrong meanwhile; printed already.
  MeasuredLosses losses;
  bool failed = false;  ///< Some job failed.

  /// How much slower the machine is around the run than while profiling; nothing where the profile
  /// does not tell.
  [[nodiscard]] std::optional<double> drift(const Profile& profile) const;
  /// What is missing on disk of jobs that completed: name and reason of each.
  [[nodiscard]] std::vector<std::string> unsaved() const;
  /// No job failed, the run was not interrupted.
  [[nodiscard]] bool complete() const;
  /// No device was lost and no unit ran twice, so that it can be laid over its prediction.
  [[nodiscard]] bool undisturbed() const { return result.outcome.redone == 0; }
};

struct TrainOptions {
  bool events = true;    ///< Where stdout is no terminal, a line per minibatch and end of a job.
  bool records = false;  ///< Also records what accelerators do, which slows them a little.
  RunFolder* folder = nullptr;  ///< Where checkpoints lie and go, if anywhere.
  RunRequest request = {};      ///< For that folder.
  Duration watch = RunOptions{}.watch;
  double watch_times = RunOptions{}.watch_times;  ///< See RunOptions.
};

/// Trains by the prediction's plan; without an engine the devices are emulated. Live progress on a
/// terminal. Ctrl-C stops it cleanly.
Trained train(Engine* engine, const Inputs& inputs, const Prediction& prediction,
              const TrainOptions& options);

/// Times fixed work again, after what the run leaves was written: it takes devices, which may fail.
void time_again(Engine* engine, const Inputs& inputs, Trained& trained);

/// Makes the folder and writes plan.json, timeline.json, trace.json (predicted and measured) and
/// losses.json.
void write_run(const std::string& folder, const Prediction& prediction, const Trained& trained);

/// What the records say of kernels and copies. Requires records.
std::string records_text(const Trained& trained);
nlohmann::ordered_json records_json(const Trained& trained);

/// Per job: minibatches, first and last loss, and why it stopped.
std::string losses_text(const Trained& trained);
nlohmann::ordered_json losses_json(const Trained& trained);

}  // namespace shardlab
