#include "policies/external.h"

#include <array>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/shared_library.h"
#include "sched/policy_factory.h"

namespace shardlab {
namespace {

constexpr std::string_view kPrefix = "so:";

template <typename Call>
std::invoke_result_t<Call> in_policy(const std::string& path, const Call& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    throw Error(fmt::format("policy {}: {}", path, error.what()));
  } catch (...) {
    throw Error(fmt::format("policy {}: threw what is no std::exception", path));
  }
}

/// What comes from outside is not trusted: it picks what it was offered or nothing, and says whose
/// fault a failure is.
class Guarded final : public Policy {
 public:
  Guarded(std::unique_ptr<Policy> policy, std::string path, std::size_t tracks)
      : policy_(std::move(policy)), path_(std::move(path)), offered_(tracks) {}

  void ready(const Candidate& unit) override {
    offered_[index(unit.track)] = true;
    guard([&] { policy_->ready(unit); });
  }
  void gone(TrackId track) override {
    offered_[index(track)] = false;
    guard([&] { policy_->gone(track); });
  }
  TrackId pick(const DeviceView& device) override {
    const TrackId track = guard([&] { return policy_->pick(device); });
    if (track == kNoTrack) return track;
    if (index(track) >= offered_.size() || !offered_[index(track)]) {
      throw Error(fmt::format(
          "policy {}: picked track {}, which has no unit that is ready; pick() may answer one of "
          "those that ready() named and gone() did not, or kNoTrack",
          path_, index(track)));
    }
    offered_[index(track)] = false;
    return track;
  }
  void begin(const StateView& view) override {
    devices_ = view.cluster().devices.size();
    guard([&] { policy_->begin(view); });
  }
  void arrived(JobId job) override {
    guard([&] { policy_->arrived(job); });
  }
  void completed(JobId job) override {
    guard([&] { policy_->completed(job); });
  }
  void lost(JobId job) override {
    guard([&] { policy_->lost(job); });
  }
  void device_lost(DeviceId device) override {
    guard([&] { policy_->device_lost(device); });
  }
  bool admits(JobId job) override {
    return guard([&] { return policy_->admits(job); });
  }
  DeviceId place(JobId job) override {
    const DeviceId device = guard([&] { return policy_->place(job); });
    if (device == kNoDevice || index(device) < devices_) return device;
    throw Error(fmt::format("policy {}: placed a job on device {}, there are {}, from 0", path_,
                            index(device), devices_));
  }
  [[nodiscard]] bool lookahead() const override {
    return guard([&] { return policy_->lookahead(); });
  }
  [[nodiscard]] bool patient(TrackId track) const override {
    return guard([&] { return policy_->patient(track); });
  }
  [[nodiscard]] Instant awaits(Instant now) const override {
    const Instant next = guard([&] { return policy_->awaits(now); });
    if (next > now) return next;
    throw Error(fmt::format(
        "policy {}: awaits() answered {} ns at {} ns; it may answer what is later, or kNever",
        path_, next.time_since_epoch().count(), now.time_since_epoch().count()));
  }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return guard([&] { return policy_->keeps(job, device); });
  }
  [[nodiscard]] bool evicts() const override {
    return guard([&] { return policy_->evicts(); });
  }
  [[nodiscard]] std::string stuck() const override {
    const std::string why = guard([&] { return policy_->stuck(); });
    return fmt::format("policy {}: {}", path_,
                       !why.empty() ? why
                                    : "nothing can run any more although jobs are left, and it "
                                      "awaits nothing; see Policy::pick() and Policy::admits()");
  }
  std::int64_t worth(JobId job, ItemIndex item, DeviceId device) override {
    return guard([&] { return policy_->worth(job, item, device); });
  }
  void evicted(JobId job, ItemIndex item, DeviceId device) override {
    guard([&] { policy_->evicted(job, item, device); });
  }

 private:
  template <typename Call>
  std::invoke_result_t<Call> guard(const Call& call) const {
    return in_policy(path_, call);
  }

  std::unique_ptr<Policy> policy_;
  std::string path_;
  std::vector<bool> offered_;  ///< By track: it is a candidate.
  std::size_t devices_ = 0;
};

}  // namespace

bool is_external(const std::string& name) {
  return name.starts_with(kPrefix) || name.ends_with(".so") || name.find('/') != std::string::npos;
}

std::string external_path(const std::string& name) {
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

std::unique_ptr<Policy> load_policy(const std::string& name, std::size_t tracks,
                                    std::uint64_t seed) {
  const std::array paths = {external_path(name)};
  const std::string& path = paths.front();
  if (path.empty()) throw Error("policy so: names no file; write so:PATH");
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
  if (factory->make == nullptr) {
    throw Error(
        fmt::format("policy {}: its factory makes nothing; use SHARDLAB_POLICY(...)", path));
  }
  auto made = in_policy(path, [&] { return std::unique_ptr<Policy>(factory->make(tracks, seed)); });
  if (!made) throw Error(fmt::format("policy {}: its factory made no policy", path));
  return std::make_unique<Guarded>(std::move(made), path, tracks);
}

}  // namespace shardlab
