#include "cli/training.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

/// Notes on which devices fixed work is timed.
class TimedEngine final : public Engine {
 public:
  std::vector<std::string> timed;

  Profile profile(const Workload&, const Cluster&, const ProfileOptions&,
                  const Progress&) override {
    return {};
  }
  void add_records(const Workload&, const Cluster&, Profile&, const Progress&) override {}
  RunResult run(const Workload&, const Cluster&, const Program&,
                const std::vector<std::vector<int>>&, Policy&, const RunOptions&) override {
    return {};
  }
  Duration fixed_work(const Cluster& cluster) override {
    for (const DeviceSpec& device : cluster.devices) timed.push_back(device.name);
    return Duration{7};
  }
  LinkReport links(const Cluster&, const LinkOptions&) override { return {}; }
  [[nodiscard]] std::string libtorch() const override { return ""; }
};

TEST(FixedWork, LeavesLostDevicesOut) {
  Inputs inputs;
  for (const char* name : {"a", "b", "c", "d"}) {
    inputs.machine.devices.emplace_back().name = name;
  }
  TimedEngine engine;
  Trained trained;
  trained.result.lost = {DeviceId{2}, DeviceId{0}};
  time_again(&engine, inputs, trained);
  EXPECT_EQ(engine.timed, (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(trained.work_after, Duration{7});
}

TEST(FixedWork, OfNoDeviceIsNone) {
  Inputs inputs;
  inputs.machine.devices.resize(1);
  TimedEngine engine;
  Trained trained;
  trained.result.lost = {DeviceId{0}};
  time_again(&engine, inputs, trained);
  EXPECT_TRUE(engine.timed.empty());
  EXPECT_EQ(trained.work_after, Duration{});
  time_again(nullptr, inputs, trained);
}

}  // namespace
}  // namespace shardlab
