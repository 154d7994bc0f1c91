#pragma once

#include <string>
#include <vector>

namespace shardlab {

/// Where CUPTI's library may be, in the order of trying: where the loader looks, then the toolkit
/// in $CUDA_HOME or in its usual place.
std::vector<std::string> cupti_libraries();

}  // namespace shardlab
