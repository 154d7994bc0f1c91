#include "traces/result_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

Result sample() {
  return {"1.2.3",
          "sweep",
          {"w.toml", "--slots=2"},
          7,
          {{"w.toml", "a = 1\n"}, {"c.toml", "b = \"µ\"\n"}},
          {{"z", 1}, {"a", {0.1, nullptr, "text"}}}};
}

TEST(ResultFile, ReadsBackWhatItWrote) {
  const std::string text = result_json(sample());
  const Result back = parse_result(text);
  EXPECT_EQ(back.shardlab, "1.2.3");
  EXPECT_EQ(back.verb, "sweep");
  EXPECT_EQ(back.arguments, sample().arguments);
  EXPECT_EQ(back.seed, 7u);
  EXPECT_EQ(back.inputs, sample().inputs);
  EXPECT_EQ(back.output.dump(), R"({"z":1,"a":[0.1,null,"text"]})") << "members keep their order";
  EXPECT_EQ(result_json(back), text);
}

// The value of the xxHash project's own `xxhsum -H3` for the empty text.
TEST(ResultFile, TheHashIsXxh3) { EXPECT_EQ(xxh3(""), "2d06800538d394c2"); }

TEST(ResultFile, RefusesAChangedFile) {
  const std::string text = result_json(sample());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string copy = text;
    copy.replace(copy.find(from), from.size(), to);
    return error_of([&] { parse_result(copy); });
  };
  EXPECT_NE(changed("a = 1", "a = 2").find("inputs: 0: xxh3: "), std::string::npos);
  EXPECT_NE(changed("--slots=2", "--slots=3").find("inputs_xxh3: "), std::string::npos);
  EXPECT_NE(changed("0.1,", "0.2,").find("output_xxh3: "), std::string::npos);
  EXPECT_NE(changed("\"seed\": 7", "\"seed\": 8").find("header_xxh3: "), std::string::npos);
  EXPECT_NE(changed("1.2.3", "1.2.4").find("header_xxh3: "), std::string::npos);
  EXPECT_NE(changed("\"verb\"", "\"werb\"").find("verb: missing"), std::string::npos);
}

TEST(ResultFile, RefusesAnInputThatIsNoText) {
  Result result = sample();
  result.inputs[0].text = "\xff";
  EXPECT_EQ(error_of([&] { write_result("unused.json", result); }),
            "unused.json: a result cannot hold an input that is no UTF-8 text");
}

TEST(InputRecording, KeepsEveryFileOnceAndServesItAgain) {
  const std::string path =
      (std::filesystem::path(testing::TempDir()) / "input_recording.txt").string();
  write_file_atomically(path, "first");
  std::vector<InputFile> kept;
  {
    const InputRecording recording;
    EXPECT_EQ(read_whole_file(path), "first");
    EXPECT_EQ(read_whole_file(path), "first");
    kept = recording.files();
  }
  EXPECT_EQ(kept, (std::vector<InputFile>{{path, "first"}}));
  write_file_atomically(path, "second");
  {
    const InputRecording serving(kept);
    EXPECT_EQ(read_whole_file(path), "first");
    EXPECT_EQ(error_of([] { read_whole_file("other.txt"); }),
              "other.txt: the result does not hold this input");
  }
  EXPECT_EQ(read_whole_file(path), "second") << "the disk again";
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace shardlab
