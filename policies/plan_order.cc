#include "policies/plan_order.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/order_progress.h"
#include "policies/order_rows.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

/// Where a row is, and what it needs there beside what its device always leaves free.
class Places {
 public:
  explicit Places(const OrderRows& rows)
      : rows_(rows),
        home_(rows.program().jobs.size(), kNoDevice),
        left_free_(headroom(rows.program().jobs, rows.cluster().devices.size())) {}

  void refuse_wrong() {
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      refuse_misplaced(row);
      refuse_no_room(row);
    }
  }

 private:
  void refuse_misplaced(std::size_t row) {
    const OrderedUnit& claim = rows_[row];
    const JobProgram& job = rows_.job(row);
    DeviceId only = job.units[claim.unit].bound;
    if (job.resident) {
      DeviceId& its = home_[index(claim.job)];
      if (its == kNoDevice) its = claim.device;
      only = its;
    }
    if (only == kNoDevice || only == claim.device) return;
    rows_.refuse(row, fmt::format("the plan keeps {} on {}; move the row there",
                                  job.resident ? "the whole job" : "its shard",
                                  rows_.cluster().devices[index(only)].name));
  }

  void refuse_no_room(std::size_t row) const {
    const JobProgram& job = rows_.job(row);
    const std::size_t d = index(rows_[row].device);
    const Bytes memory = rows_.device(row).memory;
    if (!job.held) {
      refuse_if_more(row, "it", need(job, job.units[rows_[row].unit]), memory);
    } else if (job.resident) {
      refuse_if_more(row, "the whole model", job.peak.front(), memory - left_free_[d]);
    } else {
      refuse_if_more(row, "what its job keeps there", job.peak[d], memory - left_free_[d]);
    }
  }

  void refuse_if_more(std::size_t row, const char* what, Bytes needed, Bytes room) const {
    if (needed <= room) return;
    rows_.refuse(
        row, fmt::format("{} needs {}, and {} has room for {}: {} are missing; move it to a device "
                         "with more memory, or cut the model into more shards",
                         what, format_exact_bytes(needed), rows_.device(row).name,
                         format_exact_bytes(std::max<Bytes>(room, 0)),
                         format_exact_bytes(needed - room)));
  }

  const OrderRows& rows_;
  std::vector<DeviceId> home_;    ///< Per resident job: of its first row.
  std::vector<Bytes> left_free_;  ///< Per device.
};

class Completeness {
 public:
  Completeness(const OrderRows& rows, bool may_stop) : rows_(rows), may_stop_(may_stop) {}

  void refuse_gaps() const {
    std::vector<std::size_t> all;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      if (!rows_[row].given_back) all.push_back(row);
    }
    const auto key = [&](std::size_t row) {
      const OrderedUnit& claim = rows_[row];
      return std::tuple(claim.job, claim.minibatch, claim.unit, row);
    };
    std::ranges::sort(all, {}, key);
    auto row = all.begin();
    for (std::size_t j = 0; j < rows_.program().jobs.size(); ++j) {
      const auto end = std::find_if(row, all.end(),
                                    [&](std::size_t each) { return rows_[each].job != job_id(j); });
      refuse_gaps(job_id(j), {row, end});
      row = end;
    }
  }

 private:
  void refuse_gaps(JobId id, std::span<const std::size_t> its) const {
    const JobProgram& job = rows_.program().jobs[index(id)];
    const std::size_t units = job.units.size();
    for (std::size_t i = 0; i < its.size(); ++i) {
      const OrderedUnit& claim = rows_[its[i]];
      const bool again = i > 0 && rows_[its[i - 1]].minibatch == claim.minibatch &&
                         rows_[its[i - 1]].unit == claim.unit;
      if (again) {
        rows_.refuse(its[i], fmt::format("is in row {} already; take one out", its[i - 1]));
      }
      if (static_cast<std::size_t>(claim.minibatch) * units + claim.unit != i)
        refuse_missing(id, i);
    }
    const auto all = static_cast<std::size_t>(job.minibatches) * units;
    if (its.size() < all && !(may_stop_ && its.size() % units == 0)) refuse_missing(id, its.size());
  }

  [[noreturn]] void refuse_missing(JobId id, std::size_t i) const {
    const std::size_t units = rows_.program().jobs[index(id)].units.size();
    throw Error(fmt::format("order: {} is missing; add a row for it",
                            unit_text(rows_.program(), id, static_cast<std::int64_t>(i / units),
                                      static_cast<std::uint32_t>(i % units))));
  }

  const OrderRows& rows_;
  bool may_stop_;
};

}  // namespace

void refuse_wrong_order(const Plan& plan, const Program& program, const Cluster& cluster,
                        bool may_stop) {
  const OrderRows rows(plan, program, cluster);
  Places(rows).refuse_wrong();
  Completeness(rows, may_stop).refuse_gaps();
  refuse_what_never_comes(rows);
  refuse_wrong_evictions(plan, program, cluster);
}

}  // namespace shardlab
