#include "report/table.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

TEST(TextTable, NumbersStandToTheRight) {
  TextTable table({"rank", "plan", "s", "change"});
  table.row({"=1", "spill/lrtf", "9.5", "-3 %"});
  table.row({"10", "x", "123.25", "-"});
  EXPECT_EQ(table.text(),
            "rank  plan             s  change\n"
            "  =1  spill/lrtf     9.5    -3 %\n"
            "  10  x           123.25       -\n");
}

TEST(TextTable, OneWordMakesAColumnText) {
  TextTable table({"value", "n"});
  table.row({"12", "1"});
  table.row({"2 jobs", "2"});
  EXPECT_EQ(table.text(),
            "value   n\n"
            "12      1\n"
            "2 jobs  2\n");
}

TEST(TextTable, CountsCharactersNotBytes) {
  TextTable table({"name", "n"});
  table.row({"größe", "1"});
  table.row({"plain", "22"});
  EXPECT_EQ(table.text(),
            "name    n\n"
            "größe   1\n"
            "plain  22\n");
}

TEST(TextTable, MayHaveNoRowAndNoSpaceAtTheEndOfALine) {
  EXPECT_EQ(TextTable({"a", "b"}).text(), "a  b\n");
  TextTable table({"a", "word"});
  table.row({"x", "y"});
  EXPECT_EQ(table.text(), "a  word\nx  y\n");
}

TEST(FormatDuration, HasAboutThreeDigits) {
  const auto text = [](std::int64_t ns) { return format_duration(Duration(ns)); };
  EXPECT_EQ(text(0), "0 ns");
  EXPECT_EQ(text(999), "999 ns");
  EXPECT_EQ(text(1'000), "1.00 µs");
  EXPECT_EQ(text(12'345), "12.3 µs");
  EXPECT_EQ(text(999'499), "999 µs");
  EXPECT_EQ(text(999'500), "1.00 ms");
  EXPECT_EQ(text(9'994'000), "9.99 ms");
  EXPECT_EQ(text(9'996'000), "10.0 ms");
  EXPECT_EQ(text(456'700'000), "457 ms");
  EXPECT_EQ(text(4'560'000'000), "4.56 s");
  EXPECT_EQ(text(119'400'000'000), "119 s");
  EXPECT_EQ(text(119'600'000'000), "2 min 00 s");
  EXPECT_EQ(text(200'000'000'000), "3 min 20 s");
  EXPECT_EQ(text(7'500'000'000'000), "2 h 05 min");
  EXPECT_EQ(text(-1'500'000), "-1.50 ms");
}

TEST(FormatPercent, HasOneDecimal) {
  EXPECT_EQ(format_percent(0.1234), "12.3 %");
  EXPECT_EQ(format_percent(1), "100.0 %");
  EXPECT_EQ(format_percent(-0.051), "-5.1 %");
  EXPECT_EQ(format_percent(-0.00001), "0.0 %");
}

TEST(Table, AsMarkdownAndLatexNumbersStandToTheRightToo) {
  TextTable table({"round_robin %", "n"});
  table.row({"1 ± 2 *", "12.5"});
  table.row({"a|b & c", "-"});
  EXPECT_EQ(table.markdown(),
            "| round\\_robin % | n |\n|---|---:|\n| 1 ± 2 \\* | 12.5 |\n| a\\|b & c | - |\n");
  EXPECT_EQ(table.latex(),
            "\\begin{tabular}{lr}\n\\hline\nround\\_robin \\% & n \\\\\n\\hline\n"
            "1 $\\pm$ 2 * & 12.5 \\\\\na|b \\& c & - \\\\\n\\hline\n\\end{tabular}\n");
  EXPECT_EQ(latex_text("a_{b}^2 ~ $1 \\ <#>"),
            "a\\_\\{b\\}\\textasciicircum{}2 \\textasciitilde{} \\$1 \\textbackslash{} "
            "$<$\\#$>$");
}

}  // namespace
}  // namespace shardlab
