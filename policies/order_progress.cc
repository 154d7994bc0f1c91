#include "policies/order_progress.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sched/ledger.h"

namespace shardlab {
namespace {

class Progress {
 public:
  explicit Progress(const OrderRows& rows)
      : rows_(rows),
        program_(rows.program()),
        ledger_(program_),
        next_on_(rows.cluster().devices.size()),
        admitted_(program_.jobs.size()),
        left_(program_.jobs.size()),
        waits_for_(program_.jobs.size()) {
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) waiting_.push_back(job_id(j));
    std::ranges::stable_sort(waiting_, {},
                             [&](JobId job) { return program_.jobs[index(job)].arrival; });
    for (std::size_t row = 0; row < rows.size(); ++row) {
      left_[index(rows[row].job)] += rows[row].given_back ? 0 : 1;
    }
  }

  void run() {
    admit();
    for (std::size_t d = 0; d < next_on_.size(); ++d) follow(d);
    while (!again_.empty()) {
      const std::size_t device = again_.back();
      again_.pop_back();
      follow(device);
    }
    for (std::size_t d = 0; d < next_on_.size(); ++d) {
      const auto& mine = rows_.of(device_id(d));
      if (next_on_[d] < mine.size()) refuse_waiting(mine[next_on_[d]]);
    }
  }

 private:
  /// Of held jobs one may go before another that finds no room, which only a run can tell; so there
  /// all are admitted.
  void admit() {
    const bool held = std::ranges::any_of(program_.jobs, &JobProgram::held);
    const auto limit =
        program_.admit > 0 && !held ? static_cast<std::size_t>(program_.admit) : waiting_.size();
    for (; next_ < waiting_.size() && running_ < limit; ++next_) {
      const JobId job = waiting_[next_];
      admitted_[index(job)] = true;
      again(job);
      if (left_[index(job)] > 0) ++running_;
    }
  }

  /// Devices that wait for something of that job look again.
  void again(JobId job) {
    auto& devices = waits_for_[index(job)];
    again_.insert(again_.end(), devices.begin(), devices.end());
    devices.clear();
  }

  void follow(std::size_t d) {
    const auto& mine = rows_.of(device_id(d));
    for (; next_on_[d] < mine.size(); ++next_on_[d]) {
      const OrderedUnit& claim = rows_[mine[next_on_[d]]];
      if (!comes_now(claim)) {
        waits_for_[index(claim.job)].push_back(d);
        return;
      }
      ledger_.advance(track_of(claim));
      again(claim.job);
      if (--left_[index(claim.job)] > 0) continue;
      --running_;
      admit();
    }
  }

  [[nodiscard]] TrackId track_of(const OrderedUnit& claim) const {
    return ledger_.track_of(claim.job, program_.jobs[index(claim.job)].units[claim.unit]);
  }

  [[nodiscard]] bool comes_now(const OrderedUnit& claim) const {
    const TrackId track = track_of(claim);
    return admitted_[index(claim.job)] && ledger_.minibatch(track) == claim.minibatch &&
           ledger_.unit(track) == claim.unit && ledger_.unblocked(track);
  }

  /// A unit of the job that is not done and must be before that of `claim`.
  [[nodiscard]] std::string awaited(const OrderedUnit& claim) const {
    const TrackId track = track_of(claim);
    if (ledger_.minibatch(track) != claim.minibatch || ledger_.unit(track) != claim.unit) {
      return unit_text(program_, claim.job, ledger_.minibatch(track), ledger_.unit(track));
    }
    for (const Dependency& on : ledger_.current(track).after) {
      const Unit& unit = program_.jobs[index(claim.job)].units[on.unit];
      const TrackId other = ledger_.track_of(claim.job, unit);
      const std::int64_t wanted = claim.minibatch - on.lag;
      const bool done = ledger_.minibatch(other) > wanted ||
                        (ledger_.minibatch(other) == wanted && ledger_.unit(other) > on.unit);
      if (!done) return unit_text(program_, claim.job, wanted, on.unit);
    }
    return "";
  }

  [[noreturn]] void refuse_waiting(std::size_t row) const {
    if (!admitted_[index(rows_[row].job)]) {
      rows_.refuse(row,
                   fmt::format("the job is never admitted, as the plan admits {} at once and those "
                               "before it wait behind this row; move the row back or raise admit",
                               program_.admit));
    }
    rows_.refuse(row, fmt::format("it waits for {}, which the order puts behind it, here or by way "
                                  "of another device; move this row back",
                                  awaited(rows_[row])));
  }

  const OrderRows& rows_;
  const Program& program_;
  Ledger ledger_;
  std::vector<std::size_t> next_on_;  ///< Per device, among its rows.
  std::vector<JobId> waiting_;        ///< By arrival; those before next_ were admitted.
  std::size_t next_ = 0, running_ = 0;
  std::vector<bool> admitted_;
  std::vector<std::size_t> left_;                    ///< Units, per job.
  std::vector<std::vector<std::size_t>> waits_for_;  ///< Per job: devices.
  std::vector<std::size_t> again_;                   ///< Devices to look at again.
};

}  // namespace

void refuse_what_never_comes(const OrderRows& rows) { Progress(rows).run(); }

}  // namespace shardlab
