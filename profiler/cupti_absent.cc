#include "profiler/cupti.h"

namespace shardlab {

std::shared_ptr<CuptiApi> load_cupti(std::string& problem) {
  problem = "this build has no CUPTI headers: set it up again with -Dtoolkit=/path/to/cuda";
  return nullptr;
}

}  // namespace shardlab
