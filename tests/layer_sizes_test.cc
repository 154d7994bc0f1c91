#include "models/layer_sizes.h"

#include <cctype>
#include <string>

#include <gtest/gtest.h>

#include "tests/sample_data.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

/// Profiles that LibTorch's allocator measured: fp32 on an H100, and with dropout on a CPU.
class LayerSizes : public testing::TestWithParam<const char*> {};

TEST_P(LayerSizes, AreThoseThatWereMeasured) {
  const Profile profile = read_profile(source_file(GetParam()));
  for (const ModelProfile& model : profile.models) {
    const auto sizes = layer_sizes(model.model, model.batch, model.optimizer);
    ASSERT_EQ(sizes.size(), model.layers.size());
    const bool exact = model.model.precision == Precision::kFp32;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const LayerCost& measured = model.layers[i];
      EXPECT_EQ(sizes[i].parameters, measured.parameters) << i;
      EXPECT_EQ(sizes[i].state, measured.state) << i;
      EXPECT_EQ(i + 1 < sizes.size() ? sizes[i].output : 0, measured.output) << i;
      if (exact) {
        EXPECT_EQ(sizes[i].saved, measured.saved) << i;
        EXPECT_EQ(sizes[i].forward_workspace, measured.forward_workspace) << i;
      } else if (i > 0 && i + 1 < sizes.size()) {
        EXPECT_GE(sizes[i].saved, measured.saved) << i;
        EXPECT_GE(sizes[i].forward_workspace, measured.forward_workspace) << i;
      }
      EXPECT_GE(sizes[i].backward_workspace + (exact ? 0 : 1 << 24), measured.backward_workspace)
          << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, LayerSizes,
                         testing::Values("profiles/h100-gpt2-xl.json",
                                         "profiles/h100-bert-large.json",
                                         "profiles/h100-gpt-2048.json",
                                         "examples/demo/profile.json"),
                         [](const auto& info) {
                           std::string name(info.param);
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace shardlab
