#include "traces/kineto_file.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/error_of.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

struct Event {
  KinetoKind kind;
  std::string name;
  std::int64_t start_ns, end_ns;
};

struct Read {
  std::vector<Event> events;
  std::vector<KinetoEvent> raw;
  KinetoFacts facts;
};

Read read(ByteStream& from) {
  Read result;
  result.facts = read_kineto(from, [&](const KinetoEvent& event) {
    result.events.push_back({event.kind, std::string(event.name), event.start_ns, event.end_ns});
    result.raw.push_back(event);
  });
  return result;
}

Read read(const std::string& text) {
  const auto stream = text_stream(text);
  return read(*stream);
}

std::string trace(const std::string& events) { return "{\"traceEvents\": [" + events + "]}"; }

/// A kernel with these members changed or added.
std::string kernel(const std::string& more) {
  return R"({"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,)" + more +
         R"("args":{"device":0,"correlation":5}})";
}
const std::string kGood = kernel(R"("ts":10,"dur":2,)");

std::map<std::string, std::int64_t> unusable(const std::string& event) {
  const Read result = read(trace(kGood + "," + event + "," + kGood));
  EXPECT_EQ(result.events.size(), 2U) << event;  // The others are there all the same.
  EXPECT_EQ(result.facts.events, 3);
  return result.facts.unusable;
}

using Reasons = std::map<std::string, std::int64_t>;

TEST(KinetoFile, ReadsTheThreeDialectsAlike) {
  const Read old = read(read_whole_file(source_file("tests/fixtures/imports/kineto-old.json")));
  const Read integers =
      read(read_whole_file(source_file("tests/fixtures/imports/kineto-integers.json")));
  const Read fractions =
      read(read_whole_file(source_file("tests/fixtures/imports/kineto-fractions.json")));
  ASSERT_EQ(old.events.size(), integers.events.size());
  ASSERT_EQ(old.events.size(), fractions.events.size());
  for (std::size_t i = 0; i < old.events.size(); ++i) {
    const bool range = integers.events[i].kind == KinetoKind::kAnnotation;
    EXPECT_EQ(old.events[i].kind, range ? KinetoKind::kOperator : integers.events[i].kind) << i;
    EXPECT_EQ(old.events[i].name, fractions.events[i].name) << i;
    EXPECT_EQ(old.events[i].start_ns, integers.events[i].start_ns) << i;
    EXPECT_EQ(old.events[i].start_ns + 250, fractions.events[i].start_ns) << i;
    EXPECT_EQ(old.events[i].end_ns + 250, fractions.events[i].end_ns) << i;
    EXPECT_EQ(old.raw[i].correlation, fractions.raw[i].correlation) << i;
    EXPECT_EQ(old.raw[i].sequence, integers.raw[i].sequence) << i;
    EXPECT_EQ(old.raw[i].backward, integers.raw[i].backward) << i;
  }
  EXPECT_EQ(old.facts.rank, 0);
  EXPECT_EQ(fractions.facts.rank, -1);
  EXPECT_EQ(old.facts.devices.at(0), "Example GPU 24 GB");
  EXPECT_EQ(integers.facts.others.at("ac2g"), 20);
  EXPECT_TRUE(integers.facts.unusable.empty());
}

TEST(KinetoFile, TimesAreExactToTheNanosecond) {
  const Read result = read(trace(kernel(R"("ts":4203669604595.407,"dur":340.024,)") + "," +
                                 kernel(R"("ts":"12.5","dur":1e3,)") + "," +
                                 kernel(R"("ts":-3.25,"dur":0.0001,)")));
  ASSERT_EQ(result.events.size(), 3U);
  EXPECT_EQ(result.events[0].start_ns, 4203669604595407);
  EXPECT_EQ(result.events[0].end_ns, 4203669604595407 + 340024);
  EXPECT_EQ(result.events[1].start_ns, 12500);
  EXPECT_EQ(result.events[1].end_ns, 12500 + 1000000);
  EXPECT_EQ(result.events[2].start_ns, -3250);
  EXPECT_EQ(result.events[2].end_ns, -3250);
}

TEST(KinetoFile, OneBrokenEventIsCountedAndTheOthersAreRead) {
  EXPECT_EQ(unusable(kernel(R"("ts":99999999999999999999,"dur":1,)")),
            (Reasons{{"a time of theirs is beyond 64 bits", 1}}));
  EXPECT_EQ(unusable(kernel(R"("ts":9223372036854775807,"dur":1,)")),
            (Reasons{{"a time of theirs is beyond 64 bits", 1}}));
  EXPECT_EQ(unusable(R"({"ph":"X","cat":"kernel","name":"k","ts":1,"dur":1,)"
                     R"("args":{"correlation":99999999999999999999}})"),
            (Reasons{{"a number of theirs is beyond 64 bits", 1}}));
  EXPECT_EQ(unusable(kernel("")), (Reasons{{"they have no ts or no dur", 1}}));
  EXPECT_EQ(unusable(kernel(R"("ts":1,"dur":-1,)")), (Reasons{{"their duration is negative", 1}}));
  EXPECT_EQ(unusable(kernel(R"("ts":"soon","dur":1,)")),
            (Reasons{{"a time of theirs is no number", 1}}));
  EXPECT_EQ(unusable("{\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":\"\xff\xfe\",\"ts\":1,\"dur\":1}"),
            (Reasons{{"their text is not UTF-8", 1}}));
  EXPECT_EQ(unusable("null"), (Reasons{{"they are no valid JSON", 1}}));
  EXPECT_EQ(unusable("{\"ph\"}"), (Reasons{{"they are no valid JSON", 1}}));
}

TEST(KinetoFile, ArgumentsAreFoundInAnyOrderAndBeforeTheCategory) {
  const std::string members = R"("ph":"X","name":"n","pid":1,"tid":2,"ts":1,"dur":1,)";
  const auto read_one = [&](const std::string& cat, const std::string& args) {
    const std::string arguments = "\"args\":{" + args + ",\"grid\":[1,2,3]}";
    const std::string category = "\"cat\":\"" + cat + "\"";
    const Read found = read(trace("{" + members + category + "," + arguments + "},{" + members +
                                  arguments + "," + category + "}"));
    EXPECT_EQ(found.raw.size(), 2U) << args;
    EXPECT_EQ(found.raw.at(0).correlation, found.raw.at(1).correlation) << args;
    EXPECT_EQ(found.raw.at(0).sequence, found.raw.at(1).sequence) << args;
    return found.raw.at(0);
  };
  for (const char* const args : {R"("device":0,"device":0,"bytes":3,"correlation":5)",
                                 R"("x":{"correlation":6},"correlation":5,"bytes":3,"device":0)"}) {
    EXPECT_EQ(read_one("cuda_runtime", args).correlation, 5);
    EXPECT_EQ(read_one("kernel", args).correlation, 5);
    EXPECT_EQ(read_one("gpu_memset", args).correlation, 5);
    EXPECT_EQ(read_one("gpu_memcpy", args).correlation, 5);
    EXPECT_EQ(read_one("gpu_memcpy", args).bytes, 3);
  }
  EXPECT_EQ(read_one("cpu_op", R"("Fwd thread id":1,"correlation":2,"Sequence number":9)").sequence,
            9);
}

TEST(KinetoFile, DirectionAndHostMemoryOfACopyStandInItsName) {
  const auto of = [](const char* name) {
    const CopyClass copy = kineto_copy(name);
    return std::pair(copy.direction, copy.pinned);
  };
  EXPECT_EQ(of("Memcpy HtoD (Pinned -> Device)"), std::pair(CopyDirection::kHostToDevice, true));
  EXPECT_EQ(of("Memcpy HtoD (Pageable -> Device)"), std::pair(CopyDirection::kHostToDevice, false));
  EXPECT_EQ(of("Memcpy DtoH (Device -> Pinned)"), std::pair(CopyDirection::kDeviceToHost, true));
  EXPECT_EQ(of("Memcpy DtoD (Device -> Device)"), std::pair(CopyDirection::kDeviceToDevice, false));
  EXPECT_EQ(of("Memcpy PtoP (Device -> Device)").first, CopyDirection::kDeviceToDevice);
  EXPECT_EQ(of("Memcpy Unknown").first, CopyDirection::kOther);
}

class GzippedTrace : public testing::Test {
 protected:
  void SetUp() override {
    const std::string text =
        read_whole_file(source_file("tests/fixtures/imports/kineto-integers.json"));
    const gzFile file = gzopen(path_.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    packed_ = read_whole_file(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Read read_bytes(const std::string& bytes) {
    write_file_atomically(path_, bytes);
    const auto stream = open_stream(path_);
    return read(*stream);
  }

  std::string path_ =
      testing::TempDir() + "shardlab_kineto_" + std::to_string(getpid()) + ".json.gz";
  std::string packed_;
};

TEST_F(GzippedTrace, IsReadAsTheTextInIt) {
  const Read packed = read_bytes(packed_);
  EXPECT_EQ(packed.events.size(), 58U);
  EXPECT_EQ(packed.facts.cut_off, "");
}

TEST_F(GzippedTrace, CutOffGivesWhatCameBeforeAndSaysSo) {
  const Read cut = read_bytes(packed_.substr(0, packed_.size() / 2));
  EXPECT_EQ(cut.facts.cut_off, "its gzip stream is cut off");
  EXPECT_GT(cut.events.size(), 0U);
  EXPECT_LT(cut.events.size(), 58U);
}

TEST_F(GzippedTrace, WithoutItsChecksumSaysSo) {
  const Read cut = read_bytes(packed_.substr(0, packed_.size() - 8));
  EXPECT_EQ(cut.facts.cut_off, "its gzip stream is cut off");
  EXPECT_EQ(cut.events.size(), 58U);
}

TEST_F(GzippedTrace, CountsWhatFollowsTheTraceInASecondMember) {
  const auto size = static_cast<std::int64_t>(
      read_whole_file(source_file("tests/fixtures/imports/kineto-integers.json")).size());
  const Read twice = read_bytes(packed_ + packed_);
  EXPECT_EQ(twice.events.size(), 58U);
  EXPECT_EQ(twice.facts.cut_off, "");
  EXPECT_GT(twice.facts.trailing, size / 2);
  EXPECT_LE(twice.facts.trailing, size);
  EXPECT_EQ(read_bytes(packed_).facts.trailing, 0);
}

TEST_F(GzippedTrace, DamagedInTheMiddleSaysSo) {
  std::string damaged = packed_;
  for (std::size_t i = damaged.size() / 2; i < damaged.size() / 2 + 20; ++i) damaged[i] ^= 0x5a;
  const std::string error = error_of([&] { read_bytes(damaged); });
  EXPECT_TRUE(error.starts_with("its gzip stream is damaged")) << error;
}

TEST(KinetoFile, AFileThatIsNotThereSaysWhy) {
  EXPECT_EQ(error_of([] { open_stream("no/such.json"); }),
            "no/such.json: cannot read: No such file or directory");
}

TEST(KinetoFile, CountsCategoriesWithoutEndTogether) {
  std::string text = "[";
  for (int i = 0; i < 300; ++i) text += R"({"ph":"X","cat":"c)" + std::to_string(i) + "\"},";
  const Read result = read(text + R"({"ph":"X","cat":"c0"}])");
  EXPECT_EQ(result.facts.others.size(), 257U);
  EXPECT_EQ(result.facts.others.at("c0"), 2);
  EXPECT_EQ(result.facts.others.at("of further categories"), 300 - 256);
}

}  // namespace
}  // namespace shardlab
