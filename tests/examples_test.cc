#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sample_data.h"
#include "traces/atomic_file.h"
#include "traces/cluster_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

TEST(Examples, TheWorkloadIsAGridOfFourAndOneMore) {
  const Workload workload = read_workload(source_file("examples/workload.toml"));
  ASSERT_EQ(workload.jobs.size(), 5u);
  EXPECT_EQ(workload.jobs[0].name, "gpt-small/batch=8,learning_rate=0.001");
  EXPECT_EQ(workload.jobs[3].name, "gpt-small/batch=16,learning_rate=0.0003");
  EXPECT_EQ(workload.jobs[4].name, "bert");
  EXPECT_EQ(workload.jobs[4].model.context, 64);
  EXPECT_EQ(workload.jobs[4].data, "");
}

TEST(Examples, TheClusterHasTwoDevicesWithPacedLinks) {
  const Cluster cluster = read_cluster(source_file("examples/cluster.toml"));
  EXPECT_EQ(cluster.host_memory, Bytes{4} << 30);
  ASSERT_EQ(cluster.devices.size(), 2u);
  EXPECT_EQ(cluster.devices[1].name, "cpu-1");
  EXPECT_EQ(cluster.devices[1].memory, Bytes{32} << 20);
  EXPECT_EQ(cluster.devices[1].link.latency, Duration{50'000});
  EXPECT_EQ(cluster.devices[1].link.bytes_per_second, 4e8);
}

TEST(Examples, TheSwitchesShareHostMemory) {
  const Cluster cluster = read_cluster(source_file("examples/formats/switches.toml"));
  ASSERT_EQ(cluster.switches.size(), 3u);
  ASSERT_EQ(cluster.devices.size(), 4u);
  const SwitchSpec& right =
      cluster.switches.at(static_cast<std::size_t>(cluster.devices[3].parent));
  EXPECT_EQ(right.name, "pcie1");
  EXPECT_EQ(cluster.switches.at(static_cast<std::size_t>(right.parent)).name, "memory");
}

TEST(Examples, StandInTheDocumentOfFormatsWordForWord) {
  const std::string document = read_whole_file(source_file("docs/formats.md"));
  for (const std::string& name :
       std::vector<std::string>{"workload.toml", "cluster.toml", "formats/switches.toml",
                                "study/grid.toml", "over-time/jobs.csv", "formats/profile.json",
                                "formats/plan.json", "formats/timeline.json"}) {
    const std::string type = name.substr(name.find('.') + 1);
    const std::string example =
        "```" + type + "\n" + read_whole_file(source_file("examples/" + name)) + "```\n";
    EXPECT_NE(document.find(example), std::string::npos)
        << "docs/formats.md shows another " << name;
  }
}

}  // namespace
}  // namespace shardlab
