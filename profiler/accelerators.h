#pragma once

#include <string>
#include <vector>

namespace shardlab {

/// What the NVIDIA driver and CUPTI say, opened at run time: neither is needed to build or to
/// start.
struct Accelerators {
  std::string driver;                ///< CUDA version of the driver, "13.0"; empty: none found.
  std::vector<std::string> devices;  ///< Names.
  std::string cupti;                 ///< API version; empty: none found.
  std::string problem;               ///< Why there is no driver or no device.
  std::string cupti_problem;
};

Accelerators find_accelerators();

}  // namespace shardlab
