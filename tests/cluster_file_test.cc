#include "traces/cluster_file.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

Cluster parse(const std::string& text) { return parse_cluster(text, "c.toml"); }

std::string error(const std::string& text) {
  return error_of([&] { parse(text); });
}

/// The error of a device with this line, which is the file's third.
std::string error_with(const std::string& line) {
  return error("[[device]]\nname = \"cpu\"\n" + line + "\n");
}

TEST(ClusterFile, ReadsEveryKey) {
  const Cluster cluster = parse(
      "host_memory = \"16 GiB\"\n[[device]]\nname = \"gpu\"\nkind = \"h100\"\nmemory = \"48 MiB\"\n"
      "threads = 3\ncopy_engines = 2\nlink = { latency_us = 12.5, rate = \"400 MB\" }\n");
  EXPECT_EQ(cluster.host_memory, Bytes{16} << 30);
  ASSERT_EQ(cluster.devices.size(), 1u);
  const DeviceSpec& device = cluster.devices[0];
  EXPECT_EQ(device.name, "gpu");
  EXPECT_EQ(device.kind, "h100");
  EXPECT_EQ(device.memory, Bytes{48} << 20);
  EXPECT_EQ(device.threads, 3);
  EXPECT_EQ(device.copy_engines, 2);
  EXPECT_EQ(device.link.latency, Duration{12'500});
  EXPECT_EQ(device.link.bytes_per_second, 4e8);
}

TEST(ClusterFile, ADeviceMaySayHowManySlotsItBuffersWith) {
  const Cluster cluster = parse(
      "[[device]]\nname = \"a\"\nbuffer_slots = 0\n[[device]]\nname = \"b\"\nbuffer_slots = 3\n"
      "[[device]]\nname = \"c\"\n");
  EXPECT_EQ(cluster.devices.at(0).slots(2), 1);
  EXPECT_EQ(cluster.devices.at(1).slots(2), 4);
  EXPECT_EQ(cluster.devices.at(2).slots(2), 2);
  EXPECT_EQ(cluster.most_slots(2), 4);
  EXPECT_EQ(cluster.most_slots(7), 7);
  EXPECT_EQ(Cluster{}.most_slots(2), 1);
  EXPECT_EQ(error_with("buffer_slots = -1"), "c.toml:3: buffer_slots: must be at least 0, is -1");
  EXPECT_EQ(error_with("buffer_slots = 64"), "c.toml:3: buffer_slots: must be at most 63, is 64");
  EXPECT_EQ(error_with("buffer_slot = 1"),
            "c.toml:3: buffer_slot: unknown key; did you mean \"buffer_slots\"?");
}

TEST(ClusterFile, WhatIsLeftOutIsNotLimited) {
  const Cluster cluster = parse("[[device]]\nname = \"cpu\"\n");
  EXPECT_EQ(cluster.host_memory, kUnlimited);
  EXPECT_EQ(cluster.devices.at(0).memory, kUnlimited);
  EXPECT_EQ(cluster.devices.at(0).kind, "cpu");
  EXPECT_EQ(cluster.devices.at(0).threads, 1);
  EXPECT_EQ(cluster.devices.at(0).copy_engines, 0);
  EXPECT_FALSE(cluster.devices.at(0).link.paced());
}

TEST(ClusterFile, DevicesAndTheHostMayDrawAndCost) {
  const Cluster cluster = parse(
      "host_watts = 200\n[[device]]\nname = \"gpu\"\ncount = 2\nwatts_busy = 700\nwatts_idle = "
      "90.5\nprice_per_hour = 2.5\n[[device]]\nname = \"cpu\"\n");
  EXPECT_EQ(cluster.host_watts, 200);
  EXPECT_EQ(cluster.devices.at(1).upkeep.watts_busy, 700);
  EXPECT_EQ(cluster.devices.at(1).upkeep.watts_idle, 90.5);
  EXPECT_EQ(cluster.devices.at(1).upkeep.price_per_hour, 2.5);
  EXPECT_EQ(cluster.devices.at(2).upkeep.watts_busy, 0);
  EXPECT_EQ(error_with("watts_busy = -1"), "c.toml:3: watts_busy: must be at least 0, is -1");
  EXPECT_EQ(error_with("watts_idle = 5"), "c.toml:3: watts_idle: is above watts_busy, which is 0");
  EXPECT_EQ(error_with("price_per_hour = 1e10"),
            "c.toml:3: price_per_hour: must be at most 1000000000, is 10000000000");
  EXPECT_EQ(error("host_watts = \"200 W\"\n"),
            "c.toml:1: host_watts: must be a number, is a string");
}

TEST(ClusterFile, CountRepeatsADevice) {
  const Cluster cluster =
      parse("[[device]]\nname = \"cpu\"\ncount = 2\nmemory = 1000\n[[device]]\nname = \"big\"\n");
  ASSERT_EQ(cluster.devices.size(), 3u);
  EXPECT_EQ(cluster.devices[0].name, "cpu-0");
  EXPECT_EQ(cluster.devices[1].name, "cpu-1");
  EXPECT_EQ(cluster.devices[1].memory, 1000);
  EXPECT_EQ(cluster.devices[2].name, "big");
}

TEST(ClusterFile, ALinkMayHaveOneOfItsTwoKeys) {
  const LinkSpec rate = parse("[[device]]\nname = \"a\"\nlink = { rate = 5 }\n").devices[0].link;
  EXPECT_EQ(rate.bytes_per_second, 5);
  EXPECT_EQ(rate.latency, Duration{});
  const LinkSpec late =
      parse("[[device]]\nname = \"a\"\nlink = { latency_us = 3 }\n").devices[0].link;
  EXPECT_EQ(late.bytes_per_second, 0);
  EXPECT_EQ(late.latency, Duration{3'000});
}

TEST(ClusterFile, TheLinkBackIsTheLinkUnlessItSaysSo) {
  const std::string device = "[[device]]\nname = \"a\"\nlink = { latency_us = 3, rate = 5 }\n";
  const DeviceSpec same = parse(device).devices[0];
  EXPECT_FALSE(same.back);
  EXPECT_EQ(same.link_back().latency, Duration{3'000});
  EXPECT_EQ(same.link_back().bytes_per_second, 5);
  const DeviceSpec other = parse(device + "link_back = { rate = 7 }\n").devices[0];
  EXPECT_EQ(other.link.bytes_per_second, 5);
  EXPECT_EQ(other.link_back().latency, Duration{});
  EXPECT_EQ(other.link_back().bytes_per_second, 7);
}

TEST(ClusterFile, SwitchesStandAboveDevicesAndEachOther) {
  const Cluster cluster = parse(
      "[[switch]]\nname = \"pcie0\"\nrate = \"25 GB\"\nparent = \"root\"\n"
      "[[switch]]\nname = \"root\"\nrate = 7\nrate_back = 8\nrate_together = 9\n"
      "[[switch]]\nname = \"nic\"\nrate_together = 5\n"
      "[[device]]\nname = \"gpu\"\ncount = 2\nparent = \"pcie0\"\n"
      "[[device]]\nname = \"cpu\"\n");
  ASSERT_EQ(cluster.switches.size(), 3u);
  const SwitchSpec& pcie = cluster.switches[0];
  EXPECT_EQ(pcie.name, "pcie0");
  EXPECT_EQ(pcie.bytes_per_second, 25e9);
  EXPECT_EQ(pcie.back_bytes_per_second, 25e9);
  EXPECT_EQ(pcie.together_bytes_per_second, 0);
  EXPECT_EQ(pcie.parent, 1);
  const SwitchSpec& root = cluster.switches[1];
  EXPECT_EQ(root.bytes_per_second, 7);
  EXPECT_EQ(root.back_bytes_per_second, 8);
  EXPECT_EQ(root.together_bytes_per_second, 9);
  EXPECT_EQ(root.parent, kNoSwitch);
  EXPECT_EQ(cluster.switches[2].bytes_per_second, 0);
  EXPECT_EQ(cluster.devices.at(0).parent, 0);
  EXPECT_EQ(cluster.devices.at(1).parent, 0);
  EXPECT_TRUE(cluster.devices[0].paced());
  EXPECT_EQ(cluster.devices.at(2).parent, kNoSwitch);
  EXPECT_FALSE(cluster.devices[2].paced());
}

TEST(ClusterFile, RefusesSwitchesThatCannotBe) {
  const std::string device = "[[device]]\nname = \"a\"\n";
  const auto of = [&](const std::string& lines) {
    return error("[[switch]]\nname = \"pcie0\"\n" + lines + device);
  };
  EXPECT_EQ(of(""),
            "c.toml:1: rate: missing in this switch; give rate, rate_back or rate_together");
  EXPECT_EQ(of("rate = 0\n"), "c.toml:3: rate: must be at least 1, is 0");
  EXPECT_EQ(of("rate_together = \"0 GB\"\n"), "c.toml:3: rate_together: must be at least 1 byte");
  EXPECT_EQ(of("bandwidth = 1\n").substr(0, 32), "c.toml:3: bandwidth: unknown key");
  EXPECT_EQ(of("rate = 1\nparent = \"root\"\n"),
            "c.toml:4: parent: there is no [[switch]] called root");
  EXPECT_EQ(of("rate = 1\nparent = \"pcie0\"\n"),
            "c.toml:1: parent: a switch cannot be above itself: pcie0 → pcie0");
  const std::string second = "[[switch]]\nname = \"b\"\nrate = 1\nparent = \"b\"\n";
  EXPECT_EQ(of("rate = 1\nparent = \"b\"\n" + second),
            "c.toml:1: parent: a switch cannot be above itself: pcie0 → b → b");
  EXPECT_EQ(of("rate = 1\n[[switch]]\nname = \"pcie0\"\nrate = 1\n"),
            "c.toml:4: name: pcie0 is also another switch; names must differ");
  EXPECT_EQ(error("[[switch]]\nrate = 1\n" + device), "c.toml:1: name: missing in this switch");
  EXPECT_EQ(error("[[switch]]\nname = \"pcie0\"\nrate = 1\n" + device + "parent = \"pci0\"\n"),
            "c.toml:6: parent: there is no [[switch]] called pci0; did you mean \"pcie0\"?");
  std::string chain;
  for (int s = 0; s < 17; ++s) {
    chain += "[[switch]]\nname = \"s" + std::to_string(s) + "\"\nrate = 1\n";
    if (s > 0) chain += "parent = \"s" + std::to_string(s - 1) + "\"\n";
  }
  EXPECT_EQ(error(chain + device).substr(0, 68),
            "c.toml:64: parent: more than 16 switches above one another: s16 → ");
}

TEST(ClusterFile, CopiesMaySlowComputing) {
  const DeviceSpec slowed =
      parse("[[device]]\nname = \"a\"\nslow_down_promote = 1.25\nslow_down_demote = 2\n")
          .devices[0];
  EXPECT_EQ(slowed.slow_down_promote, 1.25);
  EXPECT_EQ(slowed.slow_down_demote, 2);
  EXPECT_EQ(parse("[[device]]\nname = \"a\"\n").devices[0].slow_down_promote, 1);
  EXPECT_EQ(error_with("slow_down_demote = 0.9"),
            "c.toml:3: slow_down_demote: must be at least 1, is 0.9");
  EXPECT_EQ(error_with("slow_down_promote = 1001"),
            "c.toml:3: slow_down_promote: must be at most 1000, is 1001");
}

TEST(ClusterFile, DevicesLeaveAndReturnInTurn) {
  const DeviceSpec device =
      parse("[[device]]\nname = \"a\"\nleaves = [1.5, 10]\nreturns = [2]\n").devices[0];
  const auto at = [](double seconds) { return Instant{Duration{static_cast<int>(seconds * 1e9)}}; };
  EXPECT_EQ(device.leaves, (std::vector{at(1.5), Instant{std::chrono::seconds(10)}}));
  EXPECT_EQ(device.returns, std::vector{at(2)});
  const std::string in_turn =
      ": a device leaves and returns in turn, each time later: leaves[0] < returns[0] < "
      "leaves[1] ...";
  EXPECT_EQ(error_with("leaves = [2, 3]"), "c.toml:3: leaves" + in_turn);
  EXPECT_EQ(error_with("returns = [2]"), "c.toml:3: returns" + in_turn);
  EXPECT_EQ(error_with("leaves = [2]\nreturns = [2]"), "c.toml:4: returns" + in_turn);
  EXPECT_EQ(error_with("leaves = 5"), "c.toml:3: leaves: must be a list of seconds: [60, 3600]");
  EXPECT_EQ(error_with("leaves = [-1]"), "c.toml:3: leaves: must be at least 0, is -1");
}

TEST(ClusterFile, PageableHostMemoryHasLinksOfItsOwn) {
  const std::string device =
      "[[device]]\nname = \"a\"\nlink = { rate = 5 }\nlink_back = { rate = 6 }\n"
      "link_pageable = { rate = 3 }\n";
  for (const char* pinned : {"", "host_memory_kind = \"pinned\"\n"}) {
    const DeviceSpec found = parse(pinned + device).devices[0];
    EXPECT_EQ(found.link.bytes_per_second, 5);
    EXPECT_EQ(found.link_back().bytes_per_second, 6);
  }
  const std::string pageable = "host_memory_kind = \"pageable\"\n";
  const DeviceSpec both_ways = parse(pageable + device).devices[0];
  EXPECT_EQ(both_ways.link.bytes_per_second, 3);
  EXPECT_EQ(both_ways.link_back().bytes_per_second, 3);
  const DeviceSpec found =
      parse(pageable + device + "link_back_pageable = { rate = 4 }\n").devices[0];
  EXPECT_EQ(found.link.bytes_per_second, 3);
  EXPECT_EQ(found.link_back().bytes_per_second, 4);
  EXPECT_EQ(error(pageable + "[[device]]\nname = \"a\"\n"),
            "c.toml:2: link_pageable: missing in this device; host_memory_kind is \"pageable\"");
  EXPECT_EQ(error("host_memory_kind = \"paged\"\n" + device),
            "c.toml:1: host_memory_kind: must be \"pinned\" or \"pageable\", is \"paged\"");
}

TEST(ClusterFile, OrdinalsCountByKindAndGoOnFromWhatADeviceSays) {
  const Cluster cluster = parse(
      "[[device]]\nname = \"gpu\"\nkind = \"cuda\"\ncount = 2\n"
      "[[device]]\nname = \"cpu\"\n"
      "[[device]]\nname = \"next\"\nkind = \"cuda\"\n"
      "[[device]]\nname = \"far\"\nkind = \"cuda\"\ncount = 2\nordinal = 6\n"
      "[[device]]\nname = \"again\"\nkind = \"cuda\"\nordinal = 0\n"
      "[[device]]\nname = \"after\"\nkind = \"cuda\"\n");
  std::vector<std::pair<std::string, int>> found;
  for (const DeviceSpec& device : cluster.devices) found.emplace_back(device.name, device.ordinal);
  EXPECT_EQ(found, (std::vector<std::pair<std::string, int>>{{"gpu-0", 0},
                                                             {"gpu-1", 1},
                                                             {"cpu", 0},
                                                             {"next", 2},
                                                             {"far-0", 6},
                                                             {"far-1", 7},
                                                             {"again", 0},
                                                             {"after", 1}}));
}

TEST(ClusterFile, TakesSizesInPowersOf1024AndOf1000) {
  for (const auto& [text, bytes] : std::vector<std::pair<std::string, Bytes>>{
           {"3 KiB", 3072}, {"65 kB", 65'000}, {"65KB", 65'000}, {"1.5 MB", 1'500'000}}) {
    const Cluster cluster = parse("[[device]]\nname = \"a\"\nmemory = \"" + text + "\"\n");
    EXPECT_EQ(cluster.devices[0].memory, bytes) << text;
  }
}

TEST(ClusterFile, NamesTheUnknownKeyAndTheNearestKnown) {
  EXPECT_EQ(error_with("memroy = 3"), "c.toml:3: memroy: unknown key; did you mean \"memory\"?");
  EXPECT_EQ(error("hostmemory = 3\n"),
            "c.toml:1: hostmemory: unknown key; did you mean \"host_memory\"?");
  EXPECT_EQ(error_with("link = { latency = 3 }"),
            "c.toml:3: link: latency: unknown key; a link has latency_us and rate");
}

TEST(ClusterFile, RefusesWrongTypesAndValues) {
  EXPECT_EQ(error_with("memory = 1.5"),
            "c.toml:3: memory: must be a size such as \"48 MiB\", is a number with a fraction");
  EXPECT_EQ(error_with("memory = \"48 MoB\""),
            "c.toml:3: memory: \"48 MoB\" is no size; write for example \"300 MiB\" or \"11 GB\"");
  EXPECT_EQ(error_with("memory = \"0 MiB\""), "c.toml:3: memory: must be at least 1 byte");
  EXPECT_EQ(error_with("memory = 0"), "c.toml:3: memory: must be at least 1, is 0");
  EXPECT_EQ(error_with("memory = -5"), "c.toml:3: memory: must be at least 1, is -5");
  EXPECT_EQ(error_with("threads = 0"), "c.toml:3: threads: must be at least 1, is 0");
  EXPECT_EQ(error_with("copy_engines = 3"), "c.toml:3: copy_engines: must be at most 2, is 3");
  EXPECT_EQ(error_with("count = 0"), "c.toml:3: count: must be at least 1, is 0");
  EXPECT_EQ(error_with("count = 5000"), "c.toml:3: count: must be at most 4096, is 5000");
  EXPECT_EQ(error_with("kind = \"\""), "c.toml:3: kind: is empty");
  EXPECT_EQ(error_with("ordinal = -1"), "c.toml:3: ordinal: must be at least 0, is -1");
  EXPECT_EQ(error_with("ordinal = \"0\""), "c.toml:3: ordinal: must be an integer, is a string");
  EXPECT_EQ(error_with("link_back = { rate = \"fast\" }").substr(0, 25),
            "c.toml:3: link_back: rate");
  EXPECT_EQ(error_with("link = 3"),
            "c.toml:3: link: must be a table: { latency_us = 50, rate = \"400 MB\" }");
  EXPECT_EQ(error_with("link = { latency_us = -1 }"),
            "c.toml:3: link: latency_us: must be at least 0, is -1");
  EXPECT_EQ(error_with("link = { latency_us = 1e300 }"),
            "c.toml:3: link: latency_us: must be at most 1000000000000, is 1e+300");
  EXPECT_EQ(error_with("link = { rate = \"0 MB\" }"),
            "c.toml:3: link: rate: must be at least 1 byte");
}

TEST(ClusterFile, NeedsADeviceAndNames) {
  EXPECT_EQ(error(""), "c.toml: no [[device]] in it");
  EXPECT_EQ(error("[device]\nname = \"a\"\n"),
            "c.toml:1: device: write [[device]], with two brackets, before the keys of each");
  EXPECT_EQ(error("[[device]]\nthreads = 1\n"), "c.toml:1: name: missing in this device");
  EXPECT_EQ(error("[[device]]\nname = \"a\"\n[[device]]\nname = \"a\"\n"),
            "c.toml:3: name: a is also a device of line 1; names must differ");
  EXPECT_EQ(error("[[device]]\nname = \"a-1\"\n[[device]]\nname = \"a\"\ncount = 2\n"),
            "c.toml:3: name: a-1 is also a device of line 1; names must differ");
}

TEST(ClusterFile, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_EQ(error("[[device]]\nname = \n").substr(0, 9), "c.toml:2:");
}

TEST(ClusterFile, SaysThatAFileCannotBeRead) {
  EXPECT_EQ(error_of([] { read_cluster("no/such.toml"); }),
            "no/such.toml: cannot read: No such file or directory");
}

TEST(ClusterFile, ReadsADiskBelowTheHostsMemory) {
  const std::string device = "[[device]]\nname = \"a\"\n";
  const Cluster cluster =
      parse("disk = { read = { latency_us = 80, rate = 3000 }, memory = 7000 }\n" + device);
  ASSERT_TRUE(cluster.disk);
  EXPECT_EQ(cluster.disk->read.latency, Duration{80'000});
  EXPECT_EQ(cluster.disk->write.bytes_per_second, 3000);
  EXPECT_EQ(cluster.disk->memory, 7000);
  EXPECT_EQ(parse(cluster_toml(cluster)).disk->write.latency, Duration{80'000});
  EXPECT_FALSE(parse(device).disk);
  EXPECT_EQ(error("disk = { write = { rate = 1 } }\n" + device),
            "c.toml:1: disk: read: missing; { rate = \"3 GB\" } is per second");
  EXPECT_EQ(error("disk = { reed = 1 }\n" + device),
            "c.toml:1: disk: reed: unknown key; a disk has read, write and memory");
}

TEST(ClusterFile, WritesWhatReadsBack) {
  const Cluster cluster = parse(
      "host_memory = \"16 GiB\"\nhost_watts = 200\nnetwork = { latency_us = 5, rate = 12 }\n"
      "[[switch]]\nname = \"pcie\"\nrate = 25\nparent = \"root\"\n"
      "[[switch]]\nname = \"root\"\nrate = 7\nrate_back = 8\nrate_together = 9\n"
      "[[device]]\nname = \"gpu\"\ncount = 2\nkind = \"cuda\"\nordinal = 3\nmemory = 4096\n"
      "threads = 2\ncopy_engines = 2\nbuffer_slots = 0\nlink = { latency_us = 12.5, rate = 400 "
      "}\nlink_back = { rate "
      "= 300 }\npeer = { rate = 900 }\nnode = \"n\"\nparent = \"pcie\"\nspeed = 0.5\ncosts = "
      "\"other\"\nwatts_busy = 700\nwatts_idle = 90.5\nprice_per_hour = 2.5\nslow_down_promote = "
      "1.5\nslow_down_demote = 2\n[[device]]\nname = \"cpu\"\n");
  const std::string text = cluster_toml(cluster);
  const Cluster back = parse(text);
  EXPECT_EQ(cluster_toml(back), text);
  EXPECT_EQ(back.host_memory, cluster.host_memory);
  EXPECT_EQ(back.host_watts, 200);
  EXPECT_EQ(back.network.value().bytes_per_second, 12);
  EXPECT_EQ(back.switches.at(0).parent, 1);
  EXPECT_EQ(back.switches.at(1).back_bytes_per_second, 8);
  EXPECT_EQ(back.switches.at(1).together_bytes_per_second, 9);
  ASSERT_EQ(back.devices.size(), 3u);
  const DeviceSpec& gpu = back.devices[1];
  EXPECT_EQ(gpu.name, "gpu-1");
  EXPECT_EQ(gpu.ordinal, 4);
  EXPECT_EQ(gpu.memory, 4096);
  EXPECT_EQ(gpu.buffer_slots, 0);
  EXPECT_FALSE(back.devices[2].buffer_slots.has_value());
  EXPECT_EQ(gpu.link.latency, Duration{12'500});
  EXPECT_EQ(gpu.link_back().bytes_per_second, 300);
  EXPECT_EQ(gpu.peer.value().bytes_per_second, 900);
  EXPECT_EQ(gpu.node, "n");
  EXPECT_EQ(gpu.parent, 0);
  EXPECT_EQ(gpu.speed, 0.5);
  EXPECT_EQ(gpu.costs, "other");
  EXPECT_EQ(gpu.upkeep.watts_idle, 90.5);
  EXPECT_EQ(gpu.upkeep.price_per_hour, 2.5);
  EXPECT_EQ(gpu.slow_down_demote, 2);
  EXPECT_EQ(back.devices[2].memory, kUnlimited);
  EXPECT_FALSE(back.devices[2].back.has_value());
}

}  // namespace
}  // namespace shardlab
