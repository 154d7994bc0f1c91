#include <exception>

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

void Runtime::completed(JobId job) {
  saver_->add([this, job] { work_.save_completed(job); });
}

void Runtime::keep(JobId job, std::int64_t minibatches) {
  std::exception_ptr failure;
  try {
    work_.keep(job, minibatches);
  } catch (...) {
    failure = std::current_exception();
  }
  saver_->add([this, job] { save(job); });
  const std::lock_guard lock(mutex_);
  --keeping_;
  if (failure) fail(failure);
  reported_.emplace_back(SnapshotTaken{job});
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

}  // namespace shardlab
