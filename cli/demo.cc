#include <memory>

#include "cli/verbs.h"
#include "core/error.h"

namespace shardlab {

Action declare_demo(CLI::App&) {
  return []() -> int { throw Error("not there yet"); };
}

}  // namespace shardlab
