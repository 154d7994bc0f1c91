#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cli/plan_options.h"
#include "core/checkpoint.h"
#include "core/decision.h"
#include "core/early_stop.h"
#include "core/plan.h"
#include "sched/program.h"
#include "traces/checkpoint_file.h"

namespace shardlab {

/// "50" is every 50 minibatches of a job; "30s", "10min" and "2h" are times; "never". Throws Error.
CheckpointRule parse_checkpoint_rule(const std::string& text);

/// Declares --checkpoint-every, for Plan::checkpoints.
void add_checkpoint_option(CLI::App& app, std::string& every, const std::string& usual);

/// What `run` was asked for: enough to go on with it.
struct RunRequest {
  InputPaths paths;
  PlanOptions plan;
  std::string checkpoint_every;  ///< As given; empty: what the plan says, or the usual.

  /// What this does not say is as `from` says.
  void fill_in(const RunRequest& from);
};

/// The folder of a run, as far as going on with it is concerned: command.json says what was asked
/// for and whether the run ended, checkpoints/ holds jobs at borders of their minibatches.
class RunFolder {
 public:
  explicit RunFolder(std::string path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// Throws Error where no run has begun in the folder.
  [[nodiscard]] RunRequest request() const;
  /// The run that command.json is of; requires one.
  [[nodiscard]] bool has_ended() const;
  /// Throws Error where checkpoints of a run lie here that has not ended.
  void refuse_unfinished() const;

  /// Finds the newest whole checkpoint of each job and sets Job::done; of jobs that a tuner stops,
  /// the newest as far as it let them go. Warns of those that are damaged, or where there are none.
  /// Throws Error where another run is in the folder, or naming the difference where they are of
  /// another workload.
  void resume(Workload& workload);
  /// What a search decided so far. Not while it may be noted.
  [[nodiscard]] const std::vector<Decision>& decisions() const { return decisions_; }
  /// Throws Error where a job that goes on was dealt out otherwise than `program` does it: its
  /// weights would be those of neither plan. Of checkpoints that do not say returns a warning.
  [[nodiscard]] std::vector<std::string> refuse_other_parts(const Program& program) const;
  /// One line per job; empty if not resumed.
  [[nodiscard]] std::string resumed_text(const Workload& workload) const;
  /// Per job, null where it begins anew; empty if not resumed.
  [[nodiscard]] std::vector<const Checkpoint*> resumed() const;

  /// Makes the folder, in which no other run may be as long as this lives. Throws Error where one
  /// is.
  void claim();
  /// The run begins: claims the folder, writes what was asked for, and removes checkpoints of
  /// another run unless this one was resumed; then it renames those that are damaged.
  void begin(const RunRequest& request, const Workload& workload);
  /// What a search has decided, which save_decisions() writes. Any thread.
  void note(const Decision& decision);
  /// What could not be written is tried again with the next checkpoint. On the thread of save().
  void try_to_save_decisions();
  /// Any one thread at a time. No checkpoint is on disk before what was decided until then. Throws
  /// Error.
  void save(JobId job, const Checkpoint& checkpoint);
  /// All jobs have ended.
  void end(const RunRequest& request) const;

 private:
  [[nodiscard]] std::string command_file() const { return path_ + "/command.json"; }
  [[nodiscard]] std::string decisions_file() const { return checkpoints_ + "/decisions.txt"; }
  void find_identities(const Workload& workload);
  void resume_decisions(const Workload& workload, std::vector<std::string>& problems);
  [[nodiscard]] std::vector<std::int64_t> most_minibatches(const Workload& workload) const;
  void save_decisions();
  void write(const RunRequest& request, bool ended) const;

  std::string path_;
  std::string checkpoints_;
  std::vector<Identity> identities_;  ///< Per job.
  std::vector<std::optional<CheckpointFile>> found_;
  std::vector<DamagedCheckpoint> damaged_;
  int lock_ = -1;  ///< The file that says whose the folder is.
  std::optional<EarlyStop> search_;
  std::mutex mutex_;  ///< Of what was decided.
  std::vector<Decision> decisions_;
  std::size_t decisions_saved_ = 0;
};

}  // namespace shardlab
