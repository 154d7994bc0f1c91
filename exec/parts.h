#pragma once

#include "sched/program.h"

namespace shardlab {

/// How a minibatch of one job is dealt out.
struct Parts {
  int microbatches = 1, replicas = 1;

  [[nodiscard]] int count() const { return microbatches * replicas; }
  /// Of all microbatches, replica by replica.
  [[nodiscard]] int place(const Unit& unit) const {
    return unit.replica * microbatches + unit.microbatch;
  }
};
Parts parts_of(const JobProgram& program);

}  // namespace shardlab
