#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/inputs.h"
#include "cli/prediction.h"
#include "cli/terminal.h"
#include "exec/executor.h"

namespace shardlab {

/// How far a run is: work done, as the profile weighs it.
class RunEstimate {
 public:
  explicit RunEstimate(const Prediction& prediction);

  void take(const RunProgress& now);
  /// When it will end, in seconds: as predicted at the beginning, then more and more as its speed
  /// so far says.
  [[nodiscard]] double end(double now) const;

 private:
  const std::vector<JobProgram>& jobs_;
  double predicted_;
  std::vector<double> left_;
  double all_ = 0;
};

/// Says how a run goes on: a line that is redrawn on a terminal; else, with `events`, a line on
/// stdout per minibatch and end of a job.
///
/// It prints from a thread of its own, because it is told under the scheduler's lock: a pipe or
/// terminal that nobody reads must not halt the training. Everything told is printed, in order, by
/// the end of the destructor.
class Reporter {
 public:
  /// Requires: the references outlive the Reporter.
  Reporter(const Inputs& inputs, const Prediction& prediction, bool events);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void operator()(const RunProgress& now);
  /// Something went wrong and the run goes on. Any thread.
  void notice(const std::string& text);
  [[nodiscard]] std::vector<std::string> notices();  ///< All so far.

 private:
  void print_what_comes();
  void print(const RunProgress& now);

  const Inputs& inputs_;
  RunEstimate estimate_;
  bool events_;
  ProgressLine line_;
  std::mutex mutex_;  // Of what is below.
  std::deque<RunProgress> told_;
  std::vector<std::string> notices_;
  std::size_t noticed_ = 0;  ///< Of them, printed.
  bool over_ = false;
  std::condition_variable changed_;
  std::thread printer_;
};

}  // namespace shardlab
