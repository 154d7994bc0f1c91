#include "cli/reporter.h"

#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "cli/output.h"

namespace shardlab {
namespace {

/// Nothing where nothing was computed.
std::string loss_text(const RunProgress& now) {
  return now.loss ? fmt::format(" loss {:.4f}", *now.loss) : "";
}

std::string event_text(const RunProgress& now, const Job& job) {
  const double time = seconds(now.now);
  if (now.tuned) {
    return fmt::format("{:9.3f} s  {} {}\n", time, job.name, now.reason);
  }
  if (!now.reason.empty()) {
    return fmt::format("{:9.3f} s  {} stopped in minibatch {} of {}: {}\n", time, job.name,
                       now.minibatch + 1, job.minibatches, now.reason);
  }
  return fmt::format("{:9.3f} s  {} minibatch {}/{}{}{}\n", time, job.name, now.minibatch,
                     job.minibatches, loss_text(now), now.job_ended ? "; done" : "");
}

}  // namespace

RunEstimate::RunEstimate(const Prediction& prediction)
    : jobs_(prediction.program.jobs),
      predicted_(seconds(prediction.outcome.makespan)),
      left_(jobs_.size()) {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    left_[j] = static_cast<double>(jobs_[j].minibatches - jobs_[j].done) *
               seconds(minibatch_time(jobs_[j]));
    all_ += left_[j];
  }
}

void RunEstimate::take(const RunProgress& now) {
  const JobProgram& job = jobs_[index(now.job)];
  const std::int64_t left = now.job_ended ? 0 : job.minibatches - now.minibatch;
  left_[index(now.job)] = static_cast<double>(left) * seconds(minibatch_time(job));
}

double RunEstimate::end(double now) const {
  const double rest = all_ > 0 ? std::reduce(left_.begin(), left_.end()) / all_ : 0;
  const double trust = 0.1 * predicted_;  // In the prediction: as good as a tenth of the run.
  const double slower = (now + trust) / (predicted_ * (1 - rest) + trust);
  return now + predicted_ * rest * slower;
}

Reporter::Reporter(const Inputs& inputs, const Prediction& prediction, bool events)
    : inputs_(inputs),
      estimate_(prediction),
      events_(events),
      printer_([this] { print_what_comes(); }) {}

Reporter::~Reporter() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  printer_.join();
}

void Reporter::operator()(const RunProgress& now) {
  {
    const std::lock_guard lock(mutex_);
    told_.push_back(now);
  }
  changed_.notify_one();
}

void Reporter::notice(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    notices_.push_back(text);
  }
  changed_.notify_one();
}

std::vector<std::string> Reporter::notices() {
  const std::lock_guard lock(mutex_);
  return notices_;
}

void Reporter::print_what_comes() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return over_ || !told_.empty() || noticed_ < notices_.size(); });
    const auto news = std::exchange(told_, {});
    const std::vector<std::string> notices(notices_.begin() + static_cast<std::ptrdiff_t>(noticed_),
                                           notices_.end());
    noticed_ = notices_.size();
    if (news.empty() && notices.empty()) return;
    lock.unlock();
    for (const RunProgress& each : news) print(each);
    if (!notices.empty()) line_.clear();
    print_warnings(notices);
    lock.lock();
  }
}

void Reporter::print(const RunProgress& now) {
  const Job& job = inputs_.workload.jobs[index(now.job)];
  estimate_.take(now);
  if (line_.shown()) {
    const std::string last = now.reason.empty() ? loss_text(now) : " stopped";
    line_.update(fmt::format("{:6.1f} s of about {:.1f} s   {} of {} jobs ended   {} {}/{} {}",
                             seconds(now.now), estimate_.end(seconds(now.now)), now.jobs_ended,
                             inputs_.workload.jobs.size(), job.name, now.minibatch, job.minibatches,
                             last));
  } else if (events_) {
    print_text(event_text(now, job));
  }
}

}  // namespace shardlab
