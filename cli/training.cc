#include "cli/training.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/reporter.h"
#include "exec/emulated.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "profiler/activity_session.h"
#include "profiler/activity_summary.h"
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

/// Of what accelerators do, from here to stop().
class Recording {
 public:
  explicit Recording(bool wanted) : wanted_(wanted) {
    if (!wanted) return;
    session_ = ActivitySession::open(problem_);
    if (session_) session_->start();
  }
  std::optional<ActivityLog> stop() {
    if (!wanted_) return std::nullopt;
    if (session_) return session_->stop();
    ActivityLog none;
    none.incomplete = true;
    none.problems.push_back(problem_);
    return none;
  }

 private:
  bool wanted_;
  std::string problem_;
  std::unique_ptr<ActivitySession> session_;
};

nlohmann::ordered_json copies_json(const ActivitySummary::Copies& copies) {
  return {{"count", copies.count},
          {"bytes", copies.bytes},
          {"busy_s", seconds(copies.busy)},
          {"beside_kernels_s", seconds(copies.beside)},
          {"pageable_bytes", copies.pageable}};
}

/// Losses of minibatches that checkpoints hold.
MeasuredLosses losses_until_now(const Inputs& inputs, const RunFolder* folder) {
  MeasuredLosses losses(inputs.workload.jobs.size());
  if (folder == nullptr) return losses;
  const auto resumed = folder->resumed();
  for (std::size_t j = 0; j < resumed.size(); ++j) {
    if (resumed[j] == nullptr) continue;
    std::int64_t minibatch = 0;
    for (const double loss : resumed[j]->losses) losses.add(job_id(j), ++minibatch, loss);
  }
  return losses;
}

/// Emulated jobs have no losses of their own.
std::unique_ptr<Tuner> tuner_of(const Engine* engine, const Inputs& inputs, const TrainOptions& how,
                                const MeasuredLosses& losses) {
  if (engine == nullptr) return make_tuner(inputs.workload);
  const auto measured = [&losses](JobId job, std::int64_t n) { return losses.after(job, n); };
  if (!inputs.workload.early_stop) return make_tuner(inputs.workload, measured);
  RecordedTuner::Note note;
  if (how.folder != nullptr) note = [&how](const Decision& now) { how.folder->note(now); };
  return make_recorded_tuner(inputs.workload, measured, inputs.decisions, note);
}

}  // namespace

std::vector<std::string> Trained::unsaved() const {
  std::vector<std::string> found;
  for (std::size_t j = 0; j < result.jobs.size(); ++j) {
    const std::string& reason = result.jobs[j].unsaved;
    if (!reason.empty()) found.push_back(result.timeline.jobs[j] + ": " + reason);
  }
  return found;
}

bool Trained::complete() const { return !result.timeline.interrupted && !failed; }

std::optional<double> Trained::drift(const Profile& profile) const {
  const double reference = seconds(profile.provenance.fixed_work);
  if (reference == 0 || work_before == Duration{} || work_after == Duration{}) return std::nullopt;
  return (seconds(work_before) + seconds(work_after)) / (2 * reference) - 1;
}

Trained train(Engine* engine, const Inputs& inputs, const Prediction& prediction,
              const TrainOptions& how) {
  Trained trained;
  trained.losses = losses_until_now(inputs, how.folder);
  const auto policy = make_policy(prediction.plan, prediction.program,
                                  inputs.cluster.devices.size(), Replay::Times::kIgnored);
  if (engine != nullptr) trained.work_before = engine->fixed_work(inputs.machine);
  const auto tuner = tuner_of(engine, inputs, how, trained.losses);
  {
    const Interrupt interrupt;
    Reporter reporter(inputs, prediction, how.events);
    Recording recording(how.records);
    RunOptions options;
    options.progress = [&](const RunProgress& now) {
      if (now.loss) trained.losses.add(now.job, now.minibatch, *now.loss);
      trained.failed = trained.failed || (!now.reason.empty() && !now.tuned);
      reporter(now);
    };
    options.tuner = tuner.get();
    options.stop = &interrupt.stop();
    options.watch = how.watch;
    options.watch_times = how.watch_times;
    options.notice = [&](const std::string& text) { reporter.notice(text); };
    if (how.folder != nullptr) {
      options.resume = how.folder->resumed();
      options.begun = [&] {
        if (engine == nullptr) return how.folder->claim();
        how.folder->begin(how.request, inputs.workload);
      };
    }
    if (how.folder != nullptr && engine != nullptr) {
      options.save = [&](JobId job, const Checkpoint& state) { how.folder->save(job, state); };
      options.decided = [&] { how.folder->try_to_save_decisions(); };
    }
    trained.result = engine == nullptr
                         ? emulate(prediction.program, inputs.machine, *policy, options)
                         : engine->run(inputs.workload, inputs.machine, prediction.program,
                                       first_layers(prediction.plan), *policy, options);
    trained.records = recording.stop();
    trained.notices = reporter.notices();
  }
  for (const JobEnd& end : trained.result.outcome.jobs) {
    trained.failed = trained.failed || end.reason == kNoRoomLeft;
  }
  trained.result.timeline.plan = prediction.plan.name;
  return trained;
}

void time_again(Engine* engine, const Inputs& inputs, Trained& trained) {
  if (engine == nullptr) return;
  Cluster left = inputs.machine;
  std::vector<DeviceId> lost = trained.result.lost;
  std::ranges::sort(lost, std::greater());
  for (const DeviceId device : lost) {
    left.devices.erase(left.devices.begin() + static_cast<std::ptrdiff_t>(index(device)));
  }
  if (!left.devices.empty()) trained.work_after = engine->fixed_work(left);
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

std::string records_text(const Trained& trained) {
  const ActivitySummary found = summarize(*trained.records);
  const auto copies = [](const char* where, const ActivitySummary::Copies& each) {
    return fmt::format("copies to the {}: {} for {:.3f} s, {:.3f} s of it beside kernels\n", where,
                       format_bytes(each.bytes), seconds(each.busy), seconds(each.beside));
  };
  std::string problems;
  for (const std::string& problem : trained.records->problems) problems += problem + "\n";
  if (trained.records->activities.empty()) return "nothing was recorded: " + problems;
  std::string text = fmt::format("recorded by the GPU: kernels ran {:.3f} s of {:.3f} s\n",
                                 seconds(found.kernels), seconds(found.span)) +
                     copies("device", found.to_device) + copies("host", found.to_host);
  if (const auto share = found.hidden_share()) {
    text +=
        fmt::format("{:.1f} % of what copies can hide behind kernels was hidden\n", 100 * *share);
  }
  return text + problems;
}

nlohmann::ordered_json records_json(const Trained& trained) {
  const ActivitySummary found = summarize(*trained.records);
  nlohmann::ordered_json share;  // null where nothing could be hidden
  if (const auto known = found.hidden_share()) share = *known;
  return {{"span_s", seconds(found.span)},
          {"kernels_s", seconds(found.kernels)},
          {"copies_s", seconds(found.copies)},
          {"hidden_s", seconds(found.hidden)},
          {"hidden_share", share},
          {"to_device", copies_json(found.to_device)},
          {"to_host", copies_json(found.to_host)},
          {"incomplete", trained.records->incomplete},
          {"problems", trained.records->problems}};
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
    jobs.push_back(
        {{"name", timeline.jobs[j]},
         {"completed", end.completed},
         {"reason", end.reason},
         {"minibatches", end.minibatches},
         {"weights_hash", (end.completed || end.stopped_early) && !job.losses.empty()
                              ? nlohmann::ordered_json(fmt::format("{:016x}", job.weights_hash))
                              : nlohmann::ordered_json(nullptr)},
         {"losses", job.losses}});
  }
  return {{"format", "shardlab-losses"}, {"version", 1}, {"jobs", jobs}};
}

}  // namespace shardlab
