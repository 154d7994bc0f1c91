#include "policies/order_rows.h"

#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

std::string unit_text(const Program& program, JobId id, std::int64_t minibatch,
                      std::uint32_t unit) {
  const JobProgram& job = program.jobs[index(id)];
  return fmt::format("job {}, minibatch {}, unit {} ({} of shard {})", job.name, minibatch, unit,
                     to_string(job.units[unit].kind), job.units[unit].shard);
}

std::string row_text(const Program& program, const Cluster& cluster, const OrderedUnit& claim,
                     std::size_t row, std::size_t place) {
  return fmt::format("row {}, place {} of {}: {}", row, place,
                     cluster.devices[index(claim.device)].name,
                     unit_text(program, claim.job, claim.minibatch, claim.unit));
}

OrderRows::OrderRows(const Plan& plan, const Program& program, const Cluster& cluster)
    : order_(plan.order), program_(program), cluster_(cluster), rows_(cluster.devices.size()) {
  place_.reserve(order_.size());
  for (std::size_t row = 0; row < order_.size(); ++row) {
    refuse_unknown(row);
    auto& its = rows_[index(order_[row].device)];
    place_.push_back(its.size());
    if (!order_[row].given_back) its.push_back(row);
  }
}

void OrderRows::refuse_unknown(std::size_t row) const {
  const OrderedUnit& claim = order_[row];
  const auto known = [&](std::string_view what, std::size_t which, std::size_t count,
                         std::string_view owner) {
    if (which < count) return;
    throw Error(fmt::format("order: row {}: there is no {} {}; {} has {}, counted from 0", row,
                            what, which, owner, count));
  };
  known("device", index(claim.device), cluster_.devices.size(), "the cluster");
  known("job", index(claim.job), program_.jobs.size(), "the workload");
  known("minibatch", static_cast<std::size_t>(claim.minibatch),
        static_cast<std::size_t>(job(row).minibatches), job(row).name);
  known("unit", claim.unit, job(row).units.size(), "a minibatch of " + job(row).name);
}

void OrderRows::refuse(std::size_t row, const std::string& why) const {
  throw Error("order: " + row_text(program_, cluster_, order_[row], row, place_[row]) + ": " + why);
}

void refuse_wrong_evictions(const Plan& plan, const Program& program, const Cluster& cluster) {
  for (std::size_t row = 0; row < plan.evicted.size(); ++row) {
    const auto& [device, job, item] = plan.evicted[row];
    const auto refuse = [&](const char* what, std::size_t given, std::size_t count) {
      if (given < count) return;
      throw Error(fmt::format("evicted: row {}: there is no {} {}; there are {}, counted from 0",
                              row, what, given, count));
    };
    refuse("device", index(device), cluster.devices.size());
    refuse("job", index(job), program.jobs.size());
    refuse("item", item, program.jobs[index(job)].items.size());
  }
}

}  // namespace shardlab
