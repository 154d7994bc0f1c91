#include "models/text_data.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "models/validate.h"
#include "tests/small_images.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

struct Batch {
  std::vector<std::int64_t> input, target;
  bool operator==(const Batch&) const = default;
};

Batch draw(const TextData& data, const ModelSpec& spec, std::uint64_t seed, std::int64_t step,
           int rows = 8) {
  Batch batch{
      std::vector<std::int64_t>(static_cast<std::size_t>(rows * inputs_per_sequence(spec))),
      std::vector<std::int64_t>(static_cast<std::size_t>(rows * targets_per_sequence(spec)))};
  data.batch(spec, rows, seed, step, batch.input, batch.target);
  return batch;
}

std::string refusal(const std::string& path) {
  try {
    return "loaded " + std::to_string(TextData::load(path).size());
  } catch (const Error& error) {
    return error.what();
  }
}

class TextDataFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("shardlab_text_data_" + std::to_string(getpid()));
    fs::create_directories(folder_ / "inner");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string path(const std::string& name = "") const {
    return (folder_ / name).string();
  }

 private:
  fs::path folder_;
};

const TextData kAlphabet("alphabet", "abcdefghijklmnopqrstuvwxyz");

TEST(TextData, GptPredictsTheNextByteAtEachPosition) {
  const Batch batch = draw(kAlphabet, {Architecture::kGpt, 1, 8, 1, 10, 0}, 1, 0);
  for (std::size_t i = 0; i < batch.input.size(); ++i)
    EXPECT_EQ(batch.target[i], batch.input[i] + 1);
}

TEST(TextData, MlpPredictsTheByteAfterTheContext) {
  const Batch batch = draw(kAlphabet, {Architecture::kMlp, 1, 8, 1, 10, 0}, 1, 0);
  ASSERT_EQ(batch.target.size(), 8U);
  for (std::size_t row = 0; row < 8; ++row)
    EXPECT_EQ(batch.target[row], batch.input[row * 10] + 10);
}

TEST(TextData, BertHidesBytesAndAsksForThemOnly) {
  const Batch batch = draw(kAlphabet, {Architecture::kBert, 1, 8, 1, 20, 0}, 1, 0, 200);
  int masked = 0;
  for (std::size_t row = 0; row < 200; ++row) {
    int masked_in_row = 0;
    for (std::size_t i = row * 20; i < row * 20 + 20; ++i) {
      ASSERT_EQ(batch.input[i] == kMaskToken, batch.target[i] != kIgnoredTarget);
      masked_in_row += batch.input[i] == kMaskToken ? 1 : 0;
    }
    EXPECT_GE(masked_in_row, 1);
    masked += masked_in_row;
  }
  EXPECT_NEAR(masked / 4000.0, 1.0 / 7 + 0.04, 0.03);
}

TEST(TextData, BatchesDependOnSeedAndStepOnly) {
  const TextData text("text", std::string(100'000, 'a') + std::string(100'000, 'b'));
  for (const auto architecture : {Architecture::kGpt, Architecture::kBert}) {
    const ModelSpec spec{architecture, 1, 8, 1, 16, 0};
    EXPECT_EQ(draw(text, spec, 1, 5), draw(text, spec, 1, 5));
    EXPECT_NE(draw(text, spec, 1, 5), draw(text, spec, 2, 5));
    EXPECT_NE(draw(text, spec, 1, 5), draw(text, spec, 1, 6));
  }
}

TEST(TextData, VitDrawsWholeImagesWithTheirLabels) {
  const ModelSpec spec{Architecture::kVit, 1, 8, 1, 64, 0};
  const Batch batch = draw(small_images(30), spec, 1, 0, 100);
  std::set<std::int64_t> labels;
  for (std::size_t row = 0; row < 100; ++row) {
    const std::int64_t label = batch.target[row];
    labels.insert(label);
    for (std::size_t p = 0; p < 3072; ++p) {
      ASSERT_EQ(batch.input[3072 * row + p], 20 * label + static_cast<std::int64_t>(p % 50));
    }
  }
  EXPECT_EQ(labels.size(), 10U);
  EXPECT_EQ(draw(small_images(30), spec, 1, 0, 100), batch);
  EXPECT_NE(draw(small_images(30), spec, 1, 1, 100), batch);
}

TEST(TextData, VitRefusesWhatIsNoImages) {
  const ModelSpec spec{Architecture::kVit, 1, 8, 1, 64, 0};
  const auto why = [&](const TextData& data) -> std::string {
    try {
      data.check(spec);
    } catch (const Error& error) {
      return error.what();
    }
    return "taken";
  };
  const std::string advice =
      "; a vit trains on images: give a file in CIFAR-10's binary format, such as its "
      "data_batch_1.bin";
  EXPECT_EQ(why(small_images(2)), "taken");
  EXPECT_EQ(why({"note", "four"}), "data: note: 4 bytes are no records of 3073" + advice);
  EXPECT_EQ(why({"note", std::string(2 * 3073, 'x')}),
            "data: note: byte 0: 120 is no label" + advice);
}

TEST(TextData, RefusesTooLittleText) {
  const TextData text("note", "four");
  EXPECT_NO_THROW(text.check({Architecture::kGpt, 1, 8, 1, 3, 0}));
  EXPECT_THROW(text.check({Architecture::kGpt, 1, 8, 1, 4, 0}), Error);
}

TEST_F(TextDataFiles, FolderIsItsTextFilesInOrderOfTheirPaths) {
  write("b.txt", "second");
  write("a.txt", "first ");
  write("inner/c.txt", " third");
  write("binary", std::string("\0\1", 2));
  write(".hidden", "hidden");
  const TextData data = TextData::load(path());
  const Batch batch =
      draw(data, {Architecture::kMlp, 1, 8, 1, static_cast<int>(data.size()) - 1, 0}, 1, 0, 1);
  std::string text;
  for (const std::int64_t byte : batch.input) text += static_cast<char>(byte);
  EXPECT_EQ(text + static_cast<char>(batch.target[0]), "first second third");
}

TEST_F(TextDataFiles, MissingAndEmptyDataAreRefused) {
  write("empty", "");
  EXPECT_EQ(refusal(path("missing")), "data: " + path("missing") + ": no such file or folder");
  EXPECT_EQ(refusal(path("empty")), "data: " + path("empty") + ": no text in it");
  EXPECT_EQ(refusal(path("inner")), "data: " + path("inner") + ": no text in it");
  EXPECT_NE(refusal("/dev/null").find("data: "), std::string::npos);
}

TEST(TextData, StandardLibraryIsThereByDefault) {
  const TextData data = TextData::load("");
  EXPECT_GT(data.size(), std::size_t{1} << 20);
  EXPECT_LE(data.size(), TextData::kLargest);
}

}  // namespace
}  // namespace shardlab
