#include "core/shared_library.h"

#include <dlfcn.h>

namespace shardlab {

SharedLibrary::SharedLibrary(std::span<const std::string> names, Stay stay) {
  const int mode = RTLD_NOW | RTLD_LOCAL | (stay == Stay::kForGood ? RTLD_NODELETE : 0);
  for (const int already : {RTLD_NOLOAD, 0}) {
    for (const std::string& name : names) {
      handle_ = dlopen(name.c_str(), mode | already);
      if (handle_ != nullptr) {
        problem_.clear();
        return;
      }
      const char* error = dlerror();
      if (already == 0 && problem_.empty()) problem_ = error == nullptr ? "not found" : error;
    }
  }
}

SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* SharedLibrary::symbol(const char* name) const { return dlsym(handle_, name); }

}  // namespace shardlab
