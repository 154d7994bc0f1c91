#include "profiler/cupti_libraries.h"

#include <cstdlib>

namespace shardlab {

std::vector<std::string> cupti_libraries() {
  const std::vector<std::string> names{"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
  std::vector<std::string> found = names;
  const char* home = std::getenv("CUDA_HOME");
  const std::string toolkit = home == nullptr ? "/usr/local/cuda" : home;
  for (const char* folder : {"/lib64/", "/extras/CUPTI/lib64/"}) {
    for (const std::string& name : names) found.push_back((toolkit + folder).append(name));
  }
  return found;
}

}  // namespace shardlab
