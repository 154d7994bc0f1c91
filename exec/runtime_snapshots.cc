#include <exception>
#include <string>
#include <utility>

#include "exec/runtime.h"

/// How jobs are kept and written to disk beside the lanes.
namespace shardlab {

/// A job whose last snapshot is still on its way to disk goes on without another: it does not wait
/// for a slow disk.
bool Runtime::snapshot(JobId job, std::int64_t minibatches) {
  if (!saving_.insert(job).second) {
    reported_.emplace_back(SnapshotTaken{job, true});
    return false;
  }
  ++keeping_;
  keeper_->add([this, job, minibatches] { keep(job, minibatches); });
  return false;
}

void Runtime::settled(JobId job, std::int64_t minibatches) {
  ended_.insert(job);
  saver_->add([this, job, minibatches] { save_settled(job, minibatches); });
}

/// Where there is no memory for it, the snapshot before stays.
void Runtime::keep(JobId job, std::int64_t minibatches) {
  std::string failure;
  bool kept = false;
  try {
    work_.keep(job, minibatches);
    kept = true;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (kept) saver_->add([this, job] { save(job); });
  const std::lock_guard lock(mutex_);
  --keeping_;
  if (!kept) saving_.erase(job);
  if (!kept && observer_.not_kept) observer_.not_kept(job, minibatches, failure);
  reported_.emplace_back(SnapshotTaken{job, !kept});
  if (!quit_ && !over()) turn();
}

bool Runtime::restore(JobId job, std::int64_t minibatches) {
  ++keeping_;
  keeper_->add([this, job, minibatches] { put_back(job, minibatches); });
  return false;
}

void Runtime::put_back(JobId job, std::int64_t minibatches) {
  std::exception_ptr failure;
  try {
    work_.restore(job);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  --keeping_;
  if (failure) fail(failure);
  if (observer_.went_back) observer_.went_back(job, minibatches);
  reported_.emplace_back(Restored{job});
  if (!quit_ && !over()) turn();
}

void Runtime::save(JobId job) {
  work_.save(job);
  const std::lock_guard lock(mutex_);
  saving_.erase(job);
}

void Runtime::save_settled(JobId job, std::int64_t minibatches) {
  work_.save_settled(job, minibatches);
  const std::lock_guard lock(mutex_);
  ended_.erase(job);
}

std::vector<JobId> Runtime::still_saving(Duration patience) {
  if (keeper_->done_within(patience) && saver_->done_within(patience)) return {};
  const std::lock_guard lock(mutex_);
  std::set<JobId> jobs = saving_;
  jobs.insert(ended_.begin(), ended_.end());
  return {jobs.begin(), jobs.end()};
}

/// What a thread's task throws fails the run.
TaskThread::Failed Runtime::fails() {
  return [this](std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    fail(std::move(failure));
  };
}

}  // namespace shardlab
