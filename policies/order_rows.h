#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "sched/program.h"

namespace shardlab {

/// "job bert, minibatch 0, unit 4 (backward of shard 1)".
std::string unit_text(const Program& program, JobId job, std::int64_t minibatch,
                      std::uint32_t unit);

/// "row 7, place 2 of gpu-1: job bert, ...": how errors and warnings speak of a claim.
/// `place`: among those of its device that are not given back.
std::string row_text(const Program& program, const Cluster& cluster, const OrderedUnit& claim,
                     std::size_t row, std::size_t place);

/// The rows of a plan's order, device by device.
class OrderRows {
 public:
  /// Throws Error naming the row that names what is not there. Requires: all to outlive it.
  OrderRows(const Plan& plan, const Program& program, const Cluster& cluster);

  [[nodiscard]] const Program& program() const { return program_; }
  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  [[nodiscard]] const OrderedUnit& operator[](std::size_t row) const { return order_[row]; }
  [[nodiscard]] const JobProgram& job(std::size_t row) const {
    return program_.jobs[index(order_[row].job)];
  }
  [[nodiscard]] const DeviceSpec& device(std::size_t row) const {
    return cluster_.devices[index(order_[row].device)];
  }
  /// The device's rows in their order, but for what is given back.
  [[nodiscard]] const std::vector<std::size_t>& of(DeviceId device) const {
    return rows_[index(device)];
  }

  /// Throws Error that the row cannot be, and why.
  [[noreturn]] void refuse(std::size_t row, const std::string& why) const;

 private:
  void refuse_unknown(std::size_t row) const;

  const std::vector<OrderedUnit>& order_;
  const Program& program_;
  const Cluster& cluster_;
  std::vector<std::vector<std::size_t>> rows_;  ///< Per device.
  std::vector<std::size_t> place_;              ///< Per row, on its device.
};

/// Throws Error naming the row where what a policy let go is not there.
void refuse_wrong_evictions(const Plan& plan, const Program& program, const Cluster& cluster);

}  // namespace shardlab
