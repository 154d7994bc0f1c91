#include "exec/parts.h"

#include <algorithm>

namespace shardlab {

Parts parts_of(const JobProgram& program) {
  Parts parts;
  for (const Item& item : program.items) {
    parts.microbatches = std::max(parts.microbatches, item.microbatch + 1);
    parts.replicas = std::max(parts.replicas, item.replica + 1);
  }
  return parts;
}

}  // namespace shardlab
