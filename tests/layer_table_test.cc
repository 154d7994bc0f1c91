#include "traces/layer_table.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

LayerTable table(const std::string& text) { return parse_layer_table(text, "l.csv"); }

std::string error(const std::string& text) {
  return error_of([&] { table(text); });
}

TEST(LayerTable, AColumnIsACostAndItsUnit) {
  EXPECT_EQ(cost_column("forward_ms")->factor, 1e6);
  EXPECT_EQ(cost_column("forward_ms")->field, CostField::kForward);
  EXPECT_EQ(cost_column("parameters_MiB")->factor, 0x1p20);
  EXPECT_EQ(cost_column("parameter_bytes")->field, CostField::kParameters);
  EXPECT_EQ(cost_column("activation_MB")->field, CostField::kOutput);
  EXPECT_EQ(cost_column("backward_workspace_GiB")->field, CostField::kBackwardWorkspace);
  for (const char* none : {"forward", "forward_MiB", "parameters_ms", "forward_min", "note", ""}) {
    EXPECT_FALSE(cost_column(none)) << none;
  }
}

TEST(LayerTable, AnEmptyFieldIsNotKnown) {
  const LayerTable found = table("layer,forward_us,saved_KB,why\nconv,1.5,,x\n,0,2,\n");
  ASSERT_EQ(found.layers.size(), 2U);
  EXPECT_EQ(found.layers[0].name, "conv");
  ASSERT_EQ(found.layers[0].known.size(), 1U);
  EXPECT_EQ(found.layers[0].known[0].value, 1500);
  EXPECT_EQ(found.layers[1].name, "layer 1");
  ASSERT_EQ(found.layers[1].known.size(), 2U);
  EXPECT_EQ(found.layers[1].known[0].value, 0);
  EXPECT_EQ(found.layers[1].known[1].value, 2000);
  EXPECT_EQ(found.passed_over, std::vector<std::string>{"why"});
}

TEST(LayerTable, NamesThePlaceAtFault) {
  EXPECT_TRUE(error("name,note\n")
                  .starts_with("l.csv: no column is a cost, the first is \"name\"; write for"));
  EXPECT_EQ(error("name,forward_ms\n"), "l.csv: no layer in it, only the names of columns");
  EXPECT_EQ(error("forward_ms\n-1\n"), "l.csv:2: forward_ms: must be at least 0, is -1");
  EXPECT_EQ(error("forward_ms\nsoon\n"), "l.csv:2: forward_ms: must be a number, is \"soon\"");
  EXPECT_EQ(error("saved_TB\n1e30\n"), "l.csv:2: saved_TB: is too large: 1e30");
  EXPECT_EQ(error("forward_ms,forward_us\n"),
            "l.csv: forward_ms and forward_us say the same; take one out");
}

TEST(LayerTable, NamesALayerThatIsThereTwice) {
  EXPECT_NE(error("name,forward_ms\na,1\nb,1\na,2\n").find("there is a layer \"a\" already"),
            std::string::npos);
}

}  // namespace
}  // namespace shardlab
