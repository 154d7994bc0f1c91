#include "policies/external.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"
#include "core/shared_library.h"
#include "sched/policy_factory.h"

namespace shardlab {
namespace {

constexpr std::string_view kPrefix = "so:";

}  // namespace

bool is_external(const std::string& name) {
  return name.starts_with(kPrefix) || name.ends_with(".so") || name.find('/') != std::string::npos;
}

std::unique_ptr<Policy> load_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed) {
  const std::array paths = {name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name};
  const std::string& path = paths.front();
  const SharedLibrary library(paths, SharedLibrary::Stay::kForGood);
  if (!library.open()) {
    throw Error(fmt::format(
        "policy {}: cannot be loaded: {}{}", path, library.problem(),
        path.find('/') == std::string::npos ? "; a file in this folder is written ./" + path : ""));
  }
  const auto* factory = library.find<const PolicyFactory>(kPolicyFactory);
  if (factory == nullptr) {
    throw Error(
        fmt::format("policy {}: exports no {}; name its class in SHARDLAB_POLICY(...) of "
                    "sched/policy_factory.h",
                    path, kPolicyFactory));
  }
  if (factory->version != kPolicyInterface) {
    throw Error(
        fmt::format("policy {}: was built for version {} of the policy interface, this is "
                    "version {}; build it again with the headers of this shardlab",
                    path, factory->version, kPolicyInterface));
  }
  return std::unique_ptr<Policy>(factory->make(tracks, seed));
}

}  // namespace shardlab
