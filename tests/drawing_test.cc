#include "report/drawing.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/hand_made.h"

namespace shardlab {
namespace {

constexpr const char* kKey =
    "lower case: forward, upper case: backward, ':' the lane copies, '.' idle\n";

/// A: 1+1 ns, B: 2+2+2, C: 3, as LRTF runs them on two devices.
Timeline house_style() {
  HandMade made({"A", "B", "C"}, {"0", "1"}, 6);
  for (std::int64_t i = 0; i < 3; ++i) made.unit(0, 1, UnitKind::kFused, 2 * i, 2 * i + 2);
  made.unit(1, 2, UnitKind::kForward, 0, 3);
  made.unit(1, 0, UnitKind::kForward, 3, 4);
  made.unit(1, 0, UnitKind::kBackward, 4, 5);
  return made.timeline;
}

TEST(DrawExact, IsOneLetterPerNanosecondAndJob) {
  EXPECT_EQ(draw_exact(house_style()),
            "BBBBBB\n"
            "CCCAA\n");
}

TEST(DrawExact, ShowsCopiesAndGaps) {
  HandMade made({"a"}, {"0", "1", "2"}, 9);
  made.lane_copy(0, 0, Direction::kPromote, 1, 1, 3);
  made.unit(0, 0, UnitKind::kForward, 4, 6);
  made.unit(1, 0, UnitKind::kForward, 7, 12);  // Beyond the makespan.
  EXPECT_EQ(draw_exact(made.timeline),
            ".::.AA\n"
            ".......AA\n"
            "\n");
}

TEST(DrawExact, RefusesWhatNobodyReads) {
  HandMade made({"a"}, {"0"}, 1'000'000);
  EXPECT_EQ(error_of([&] { draw_exact(made.timeline); }),
            "1000000 ns are too many to draw one by one");
}

TEST(Drawing, HasARowPerDeviceAnAxisAndALegend) {
  HandMade made({"gpt", "bert"}, {"cpu-0", "cpu-1"}, 40'000'000);  // 40 ms
  made.unit(0, 0, UnitKind::kForward, 0, 10'000'000);
  made.unit(0, 0, UnitKind::kBackward, 10'000'000, 30'000'000);
  made.lane_copy(0, 0, Direction::kDemote, 1, 30'000'000, 34'000'000);
  made.unit(1, 1, UnitKind::kFused, 5'000'000, 35'000'000);
  // 47 - 7 columns: one per millisecond.
  EXPECT_EQ(draw(made.timeline, {47, false}),
            "cpu-0  aaaaaaaaaaAAAAAAAAAAAAAAAAAAAA::::......\n"
            "cpu-1  .....BBBBBBBBBBBBBBBBBBBBBBBBBBBBBB.....\n"
            "       |0 ms     |10 ms    |20 ms    |30 ms\n"
            "a gpt   b bert\n" +
                std::string(kKey));
}

TEST(Drawing, AStepShowsWhatTookMostOfIt) {
  HandMade made({"a", "b"}, {"c"}, 100);  // Ten steps of ten.
  made.unit(0, 0, UnitKind::kForward, 0, 6);
  made.unit(0, 1, UnitKind::kForward, 6, 10);   // 6 a, 4 b
  made.unit(0, 1, UnitKind::kForward, 10, 12);  // 2 b, 8 idle
  made.unit(0, 0, UnitKind::kForward, 20, 23);  // 3 + 3 a
  made.unit(0, 1, UnitKind::kForward, 23, 27);  // 4 b
  made.unit(0, 0, UnitKind::kForward, 27, 30);
  made.unit(0, 1, UnitKind::kBackward, 35, 45);  // Half of two steps.
  const std::string picture = draw(made.timeline, {13, false});
  EXPECT_EQ(picture.substr(0, picture.find('\n')), "c  a.aBB.....");
}

TEST(Drawing, IsNoWiderThanAskedAndNeverFinerThanANanosecond) {
  HandMade made({"a"}, {"cpu"}, 123'456'789);
  made.unit(0, 0, UnitKind::kForward, 0, 123'456'789);
  const std::string wide = draw(made.timeline, {80, false});
  EXPECT_EQ(wide.substr(0, wide.find('\n')), "cpu  " + std::string(75, 'a'));
  EXPECT_EQ(draw(house_style(), {80, false}).substr(0, 19), "0  BBBBBB\n1  cccaA.");
}

TEST(Drawing, ColoursOnlyWhenAsked) {
  HandMade made({"a", "b"}, {"c"}, 20);
  made.unit(0, 0, UnitKind::kForward, 0, 2);
  made.unit(0, 1, UnitKind::kForward, 3, 4);
  EXPECT_EQ(draw(made.timeline, {80, false}).find('\033'), std::string::npos);
  const std::string text = draw(made.timeline, {80, true});
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "c  \033[31maa\033[0m.\033[32mb\033[0m................");
}

TEST(Drawing, ManyJobsBecomeDigitsAndThenAHash) {
  std::vector<std::string> jobs;
  for (int i = 0; i < 40; ++i) jobs.push_back("j" + std::to_string(i));
  HandMade made(jobs, {"c"}, 40);
  for (std::uint32_t i = 0; i < 40; ++i) made.unit(0, i, UnitKind::kBackward, i, i + 1);
  const std::string text = draw(made.timeline, {80, false});
  EXPECT_EQ(text.substr(0, text.find('\n')), "c  ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789####");
  EXPECT_NE(text.find("9 j35   # 4 more\n"), std::string::npos);
}

TEST(Drawing, LegendWrapsAtTheWidth) {
  HandMade made({"first-job", "second-job", "third-job"}, {"c"}, 20);
  const std::string text = draw(made.timeline, {30, false});
  EXPECT_NE(text.find("\na first-job   b second-job\nc third-job\n"), std::string::npos);
}

TEST(Drawing, ChoosesTheUnitOfTheAxis) {
  const auto axis = [](std::int64_t makespan) {
    HandMade made({"a"}, {"c"}, makespan);
    const std::string text = draw(made.timeline, {63, false});
    const std::size_t at = text.find('\n') + 1;
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(axis(60), "   |0 ns     |10 ns    |20 ns    |30 ns    |40 ns    |50 ns");
  EXPECT_EQ(axis(3'000'000'000), "   |0 s      |0.5 s    |1 s      |1.5 s    |2 s      |2.5 s");
}

TEST(Drawing, LongRunsDoNotOverflow) {
  const std::int64_t year = 31'536'000'000'000'000;
  HandMade made({"a"}, {"c"}, 30 * year);
  made.unit(0, 0, UnitKind::kForward, 0, 15 * year);
  const std::string text = draw(made.timeline, {23, false});
  EXPECT_EQ(text.substr(0, text.find('\n')), "c  aaaaaaaaaa..........");
}

TEST(Drawing, SaysThatNothingRan) { EXPECT_EQ(draw(Timeline{}), "(nothing ran)\n"); }

}  // namespace
}  // namespace shardlab
