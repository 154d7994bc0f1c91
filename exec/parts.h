#pragma once

#include <algorithm>

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

inline Parts parts_of(const JobProgram& program) {
  Parts parts;
  for (const Item& item : program.items) {
    parts.microbatches = std::max(parts.microbatches, item.microbatch + 1);
    parts.replicas = std::max(parts.replicas, item.replica + 1);
  }
  return parts;
}

}  // namespace shardlab
