#include "profiler/conditions.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "traces/atomic_file.h"

namespace shardlab {
namespace {

using Readings = std::vector<Reading>;

/// A system's own files, in a folder that ends with the test.
class System : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& content) {
    const auto whole = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(whole.parent_path());
    write_file_atomically(whole.string(), content);
  }
  void processor(int number, const std::string& governor) {
    file("sys/devices/system/cpu/cpu" + std::to_string(number) + "/cpufreq/scaling_governor",
         governor + "\n");
  }
  std::string root_ = testing::TempDir() + "shardlab_system_" + std::to_string(getpid());
};

TEST_F(System, TellsGovernorFrequencyAndLoad) {
  processor(0, "performance");
  processor(1, "performance");
  file("proc/loadavg", "0.52 0.58 0.59 1/467 12345\n");
  file("proc/cpuinfo",
       "processor\t: 0\ncpu MHz\t\t: 2400.123\nprocessor\t: 1\ncpu MHz\t\t: 3100.9\n");
  EXPECT_EQ(processor_readings(root_), (Readings{{"CPU governor", "performance"},
                                                 {"CPU frequency", "2400 to 3101 MHz"},
                                                 {"load average", "0.52 0.58 0.59 1/467 12345"}}));
  processor(1, "powersave");
  EXPECT_EQ(processor_readings(root_).front().value, "performance, powersave");
}

TEST_F(System, SaysWhatItDoesNotTell) {
  for (const auto& [what, value] : processor_readings(root_)) {
    EXPECT_EQ(value, "not told by this system") << what;
  }
}

Readings of_gpu(int ordinal) {
  const std::array<std::string, 1> library{std::getenv("SHARDLAB_FAKE_NVML")};
  return accelerator_readings(ordinal, library, library);
}

TEST(AcceleratorReadings, AreOfTheDeviceOnTheBusNotOfTheNumber) {
  EXPECT_EQ(of_gpu(1), (Readings{{"GPU 1 clocks", "SM 1755 MHz of 1980, memory 2619 MHz"},
                                 {"GPU 1 power state", "P2"},
                                 {"GPU 1 clocks held down by", "the power cap, heat"},
                                 {"GPU 1 temperature", "41 °C"},
                                 {"GPU 1 power", "312 W"},
                                 {"GPU 1 other processes", "2"}}));
  const Readings first = of_gpu(0);
  EXPECT_EQ(first[0].value, "SM 1980 MHz of 1980, memory 2619 MHz");
  EXPECT_EQ(first[1].value, "P0");
  EXPECT_EQ(first[2].value, "nothing");
  EXPECT_EQ(first[5].value, "none");  // Only this process.
}

TEST(AcceleratorReadings, SayWhyThereAreNone) {
  const std::array<std::string, 1> here{std::getenv("SHARDLAB_FAKE_NVML")}, absent{"libabsent.so"};
  const Readings without = accelerator_readings(0, here, absent);
  ASSERT_EQ(without.size(), 1U);
  EXPECT_EQ(without[0].what, "GPU 0 clocks, power state and other users");
  EXPECT_TRUE(without[0].value.starts_with("not told: ") &&
              without[0].value.find("libabsent.so") != std::string::npos)
      << without[0].value;
  EXPECT_EQ(accelerator_readings(7, here, here).at(0).value,
            "not told: NVML does not know the device");
}

TEST(Conditions, AreReadingsBeforeAndAfter) {
  const auto both = conditions({{"a", "1"}, {"b", "2"}}, {{"b", "3"}});
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].after, "not told");
  EXPECT_EQ(both[1].before, "2");
  EXPECT_EQ(both[1].after, "3");
}

}  // namespace
}  // namespace shardlab
