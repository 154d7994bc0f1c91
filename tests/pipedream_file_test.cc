#include "traces/pipedream_file.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

std::string node(const std::string& id, const std::string& activation = "4.000",
                 const std::string& forward = "1.500") {
  return id + " -- Linear(in_features=8) -- forward_compute_time=" + forward +
         ", backward_compute_time=3.000, activation_size=" + activation +
         ", parameter_size=16.000\n";
}

std::string error(const std::string& text) {
  return error_of([&] { parse_pipedream(text); });
}

TEST(PipedreamFile, ReadsNodesInTheOrderOfTheirEdges) {
  const auto nodes = parse_pipedream(node("node10") + node("node9") + "\tnode10 -- node2\r\n" +
                                     node("node2") + "\n\tnode9 -- node10\n\tnode9 -- node10");
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(nodes[0].id, "node9");
  EXPECT_EQ(nodes[1].id, "node10");
  EXPECT_EQ(nodes[2].id, "node2");
  EXPECT_EQ(nodes[0].readers, std::vector<std::size_t>{1});
  EXPECT_EQ(nodes[1].readers, std::vector<std::size_t>{2});
  EXPECT_EQ(nodes[0].forward, Duration{1'500'000});
  EXPECT_EQ(nodes[0].parameters, 16);
  EXPECT_EQ(nodes[0].what, "Linear(in_features=8)");
}

TEST(PipedreamFile, AnActivationMayBeAListAndANodeMayHaveAStage) {
  const std::string staged =
      "node1 -- X -- forward_compute_time=1, backward_compute_time=2, activation_size=[1.0; 2.0; "
      "4.0], parameter_size=0.000 -- stage_id=3\n";
  EXPECT_EQ(parse_pipedream(staged).at(0).activation, 7);
}

TEST(PipedreamFile, KnowsInputs) {
  const auto is_input = [](const std::string& what) {
    PipedreamNode node;
    node.what = what;
    return node.input();
  };
  EXPECT_TRUE(is_input("Input"));
  EXPECT_TRUE(is_input("Input12"));
  EXPECT_FALSE(is_input("InputNorm(8)"));
}

TEST(PipedreamFile, NamesTheLineAtFault) {
  EXPECT_EQ(error(""), "no node in it; lines begin as \"node1 -- Conv2d(...) -- \"");
  EXPECT_EQ(error("hello\n"), "line 1: is neither a node nor an edge");
  EXPECT_EQ(error(node("a") + node("a")), "line 2: a is there twice");
  EXPECT_EQ(error(node("a") + "\ta -- b\n"), "line 2: no node is called \"b\"");
  EXPECT_EQ(error(node("a") + node("b") + "\ta -- b\n\tb -- a\n"),
            "its edges go round in a circle");
  EXPECT_EQ(error(node("a", "-1")), "line 1: a: activation_size: must be at least 0, is -1");
  EXPECT_EQ(error(node("a", "[1; 2")), "line 1: a: activation_size: a list that is not closed");
  EXPECT_EQ(error(node("a", "1e30")), "line 1: a: activation_size: is too large: 1e+30");
  EXPECT_EQ(error(node("a", "4", "nan")),
            "line 1: a: forward_compute_time: must be finite, is nan");
  EXPECT_EQ(error("a -- X -- forward_compute_time=1, backward_compute_time=2, activation_size=3\n"),
            "line 1: a: parameter_size: missing");
}

}  // namespace
}  // namespace shardlab
