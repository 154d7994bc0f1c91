#include "policies/plan_order.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/ledger.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

/// "job bert, minibatch 0, unit 4 (backward of shard 1)".
std::string named(const Program& program, JobId id, std::int64_t minibatch, std::uint32_t unit) {
  const JobProgram& job = program.jobs[index(id)];
  return fmt::format("job {}, minibatch {}, unit {} ({} of shard {})", job.name, minibatch, unit,
                     to_string(job.units[unit].kind), job.units[unit].shard);
}

class OrderCheck {
 public:
  OrderCheck(const Plan& plan, const Program& program, const Cluster& cluster)
      : order_(plan.order),
        program_(program),
        cluster_(cluster),
        ledger_(program),
        devices_(cluster.devices.size()) {
    place_.reserve(order_.size());
    for (std::size_t row = 0; row < order_.size(); ++row) add(row);
  }

  void refuse_misplaced() const {
    std::vector<DeviceId> home(program_.jobs.size(), kNoDevice);
    const std::vector<Bytes> left_free = headroom(program_.jobs, cluster_.devices.size());
    for (std::size_t row = 0; row < order_.size(); ++row) {
      const OrderedUnit& claim = order_[row];
      const JobProgram& job = program_.jobs[index(claim.job)];
      DeviceId only = job.units[claim.unit].bound;
      if (job.resident) {
        DeviceId& its = home[index(claim.job)];
        if (its == kNoDevice) refuse_no_room(row, left_free);
        if (its == kNoDevice) its = claim.device;
        only = its;
      }
      if (only == kNoDevice || only == claim.device) continue;
      refuse(row, fmt::format("the plan keeps {} on {}; move the row there",
                              job.resident ? "the whole job" : "its shard", name(only)));
    }
  }

  void refuse_gaps(bool may_stop) const {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < order_.size(); ++row) {
      if (!order_[row].given_back) rows.push_back(row);
    }
    const auto key = [&](std::size_t row) {
      const OrderedUnit& claim = order_[row];
      return std::tuple(claim.job, claim.minibatch, claim.unit, row);
    };
    std::ranges::sort(rows, {}, key);
    auto row = rows.begin();
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) {
      const auto end = std::find_if(
          row, rows.end(), [&](std::size_t each) { return order_[each].job != job_id(j); });
      refuse_gaps(job_id(j), {row, end}, may_stop);
      row = end;
    }
  }

  /// Takes units as early as the order allows, without any clock, and refuses if some never come.
  void refuse_what_never_comes() {
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) waiting_.push_back(job_id(j));
    std::ranges::stable_sort(waiting_, {},
                             [&](JobId job) { return program_.jobs[index(job)].arrival; });
    admitted_.resize(program_.jobs.size());
    left_.resize(program_.jobs.size());
    for (const OrderedUnit& claim : order_) left_[index(claim.job)] += claim.given_back ? 0 : 1;
    waits_for_.resize(program_.jobs.size());
    admit();
    for (std::size_t d = 0; d < devices_.size(); ++d) follow(d);
    while (!again_.empty()) {
      const std::size_t device = again_.back();
      again_.pop_back();
      follow(device);
    }
    for (const Device& device : devices_) {
      if (device.next < device.rows.size()) refuse_waiting(device.rows[device.next]);
    }
  }

 private:
  struct Device {
    std::vector<std::size_t> rows;  ///< But for what is given back.
    std::size_t next = 0;
  };

  [[nodiscard]] const std::string& name(DeviceId device) const {
    return cluster_.devices[index(device)].name;
  }

  [[noreturn]] void refuse(std::size_t row, const std::string& what) const {
    const OrderedUnit& claim = order_[row];
    throw Error(fmt::format("order: row {}, place {} of {}: {}: {}", row, place_[row],
                            name(claim.device),
                            named(program_, claim.job, claim.minibatch, claim.unit), what));
  }

  void add(std::size_t row) {
    const OrderedUnit& claim = order_[row];
    const auto known = [&](std::string_view what, std::size_t which, std::size_t count,
                           std::string_view owner) {
      if (which < count) return;
      throw Error(fmt::format("order: row {}: there is no {} {}; {} has {}, counted from 0", row,
                              what, which, owner, count));
    };
    known("device", index(claim.device), cluster_.devices.size(), "the cluster");
    known("job", index(claim.job), program_.jobs.size(), "the workload");
    const JobProgram& job = program_.jobs[index(claim.job)];
    known("minibatch", static_cast<std::size_t>(claim.minibatch),
          static_cast<std::size_t>(job.minibatches), job.name);
    known("unit", claim.unit, job.units.size(), "a minibatch of " + job.name);
    Device& device = devices_[index(claim.device)];
    place_.push_back(device.rows.size());
    if (!claim.given_back) device.rows.push_back(row);
  }

  void refuse_no_room(std::size_t row, const std::vector<Bytes>& left_free) const {
    const OrderedUnit& claim = order_[row];
    const Bytes peak = program_.jobs[index(claim.job)].peak.front();
    const Bytes room =
        cluster_.devices[index(claim.device)].memory - left_free[index(claim.device)];
    if (peak <= room) return;
    refuse(row, fmt::format("the whole model needs {} there, and there is room for {}; move the "
                            "job to a device with more memory",
                            format_bytes(peak), format_bytes(room)));
  }

  void refuse_gaps(JobId id, std::span<const std::size_t> rows, bool may_stop) const {
    const JobProgram& job = program_.jobs[index(id)];
    const std::size_t units = job.units.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const OrderedUnit& claim = order_[rows[i]];
      const bool again = i > 0 && order_[rows[i - 1]].minibatch == claim.minibatch &&
                         order_[rows[i - 1]].unit == claim.unit;
      if (again) refuse(rows[i], fmt::format("is in row {} already; take one out", rows[i - 1]));
      if (static_cast<std::size_t>(claim.minibatch) * units + claim.unit != i)
        refuse_missing(id, i);
    }
    const auto all = static_cast<std::size_t>(job.minibatches) * units;
    if (rows.size() < all && !(may_stop && rows.size() % units == 0))
      refuse_missing(id, rows.size());
  }

  [[noreturn]] void refuse_missing(JobId id, std::size_t i) const {
    const std::size_t units = program_.jobs[index(id)].units.size();
    throw Error(fmt::format("order: {} is missing; add a row for it",
                            named(program_, id, static_cast<std::int64_t>(i / units),
                                  static_cast<std::uint32_t>(i % units))));
  }

  // Following.

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
    Device& device = devices_[d];
    for (; device.next < device.rows.size(); ++device.next) {
      const OrderedUnit& claim = order_[device.rows[device.next]];
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
      return named(program_, claim.job, ledger_.minibatch(track), ledger_.unit(track));
    }
    for (const Dependency& on : ledger_.current(track).after) {
      const Unit& unit = program_.jobs[index(claim.job)].units[on.unit];
      const TrackId other = ledger_.track_of(claim.job, unit);
      const std::int64_t wanted = claim.minibatch - on.lag;
      const bool done = ledger_.minibatch(other) > wanted ||
                        (ledger_.minibatch(other) == wanted && ledger_.unit(other) > on.unit);
      if (!done) return named(program_, claim.job, wanted, on.unit);
    }
    return "";
  }

  [[noreturn]] void refuse_waiting(std::size_t row) const {
    const OrderedUnit& claim = order_[row];
    if (!admitted_[index(claim.job)]) {
      refuse(row, fmt::format("the job is never admitted, as the plan admits {} at once and those "
                              "before it wait behind this row; move the row back or raise admit",
                              program_.admit));
    }
    refuse(row, fmt::format("it waits for {}, which the order puts behind it, here or by way of "
                            "another device; move this row back",
                            awaited(claim)));
  }

  const std::vector<OrderedUnit>& order_;
  const Program& program_;
  const Cluster& cluster_;
  Ledger ledger_;
  std::vector<Device> devices_;
  std::vector<std::size_t> place_;  ///< Per row, on its device.
  std::vector<JobId> waiting_;      ///< By arrival; those before next_ were admitted.
  std::size_t next_ = 0, running_ = 0;
  std::vector<bool> admitted_;
  std::vector<std::size_t> left_;                    ///< Units, per job.
  std::vector<std::vector<std::size_t>> waits_for_;  ///< Per job: devices.
  std::vector<std::size_t> again_;                   ///< Devices to look at again.
};

}  // namespace

void refuse_wrong_order(const Plan& plan, const Program& program, const Cluster& cluster,
                        bool may_stop) {
  OrderCheck check(plan, program, cluster);
  check.refuse_misplaced();
  check.refuse_gaps(may_stop);
  check.refuse_what_never_comes();
}

}  // namespace shardlab
