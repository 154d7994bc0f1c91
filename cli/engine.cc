#include "cli/engine.h"

#include <dlfcn.h>
#include <filesystem>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr const char* kModule = "libshardlab_torch.so";

}  // namespace

std::filesystem::path command_folder() {
  std::error_code failed;
  const auto command = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) throw Error("cannot tell where the command lies: " + failed.message());
  return command.parent_path();
}

std::string data_sheets() {
  const auto path = (command_folder() / "../../profiles/devices.toml").lexically_normal();
  if (std::filesystem::exists(path)) return path.string();
  throw Error(path.string() + " is not there; name the file with --data-sheets");
}

std::unique_ptr<Engine> load_engine() {
  const auto path = command_folder() / kModule;
  if (!std::filesystem::exists(path)) {
    throw Error(fmt::format(
        "{} is not beside the command: this build has no LibTorch, so it can neither profile nor "
        "run; ./bootstrap build makes one that has",
        kModule));
  }
  // Never closed: LibTorch's threads outlive everything.
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw Error(
        fmt::format("cannot load {}: {}; build again with ./bootstrap build", kModule, dlerror()));
  }
  using Factory = Engine*(int version);
  auto* const factory = reinterpret_cast<Factory*>(dlsym(module, kEngineFactory));
  std::unique_ptr<Engine> engine(factory == nullptr ? nullptr : factory(kEngineVersion));
  if (!engine) {
    throw Error(fmt::format("{} is of another build; build again with ./bootstrap build", kModule));
  }
  return engine;
}

}  // namespace shardlab
