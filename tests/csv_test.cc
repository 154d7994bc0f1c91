#include "traces/csv.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows rows(std::string_view text, CsvComments comments = CsvComments::kNone) {
  CsvReader reader(text, "x.csv", comments);
  Rows all;
  while (reader.next()) {
    auto& row = all.emplace_back();
    for (std::size_t i = 0; i < reader.columns().size(); ++i) row.emplace_back(reader[i]);
  }
  return all;
}

std::string error(std::string_view text) {
  return error_of([&] { rows(text); });
}

TEST(Csv, FieldsStandBetweenCommas) {
  EXPECT_EQ(rows("a,b,c\n1,,3\nx y, z\t,\n"), (Rows{{"1", "", "3"}, {"x y", "z", ""}}));
}

TEST(Csv, QuotesHoldCommasLineBreaksAndDoubledQuotes) {
  EXPECT_EQ(rows("a,b\n\"1,2\",\"say \"\"hi\"\"\"\n\"two\nlines\" , \" kept \"\n\"\",\"\"\"\"\n"),
            (Rows{{"1,2", "say \"hi\""}, {"two\nlines", " kept "}, {"", "\""}}));
}

TEST(Csv, WindowsLinesAByteOrderMarkAndAMissingLastLineBreakAreFine) {
  EXPECT_EQ(rows("\xef\xbb\xbf\"a\",b\r\n1,2\r\n3,4"), (Rows{{"1", "2"}, {"3", "4"}}));
}

TEST(Csv, BlankLinesArePassedOver) {
  EXPECT_EQ(rows("\n  \na,b\r\n\r\n1,2\n\t\n\n3,4\n\n "), (Rows{{"1", "2"}, {"3", "4"}}));
}

TEST(Csv, CommentsArePassedOverOnlyWhereTheyAreAskedFor) {
  const std::string_view text = "# GPUs,time\n1,2\n";
  EXPECT_EQ(CsvReader(text, "x.csv").columns().at(0), "# GPUs");
  EXPECT_EQ(rows("# all\na,b\n # one, \"two\n1,#2\n#", CsvComments::kHash), (Rows{{"1", "#2"}}));
}

TEST(Csv, ARowKnowsWhereItBegins) {
  CsvReader reader("a,b\n\n\"x\ny\",1\n2,3\n", "x.csv");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.place(1), "x.csv:3: b");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.place(), "x.csv:5");
  EXPECT_EQ(reader.line(), 5);
  EXPECT_FALSE(reader.next());
}

TEST(Csv, FindsColumnsByName) {
  const CsvReader reader("width,layers\n", "x.csv");
  EXPECT_EQ(reader.column("layers"), 1u);
  EXPECT_FALSE(reader.find("heads"));
  EXPECT_EQ(error_of([&] { (void)reader.column("layer"); }),
            "x.csv: layer: no column has this name; did you mean \"layers\"?");
  constexpr std::array<std::string_view, 2> kKnown{"width", "layer"};
  EXPECT_EQ(error_of([&] { reader.refuse_unknown_columns(kKnown); }),
            "x.csv:1: layers: unknown column; did you mean \"layer\"?");
}

TEST(Csv, RefusesWhatIsNoTable) {
  EXPECT_EQ(error(""), "x.csv: is empty; its first line must name the columns");
  EXPECT_EQ(error(" \n\n"), "x.csv: is empty; its first line must name the columns");
  EXPECT_EQ(error("a,b,a\n"), "x.csv:1: a: two columns have this name");
  EXPECT_EQ(error("a,b\n1,2\n3\n"), "x.csv:3: has 1 fields, the header has 2");
  EXPECT_EQ(error("a,b\n1,2,3\n"), "x.csv:2: has 3 fields, the header has 2");
  EXPECT_EQ(error(std::string(5000, ',')), "x.csv:1: more than 1024 fields");
}

TEST(Csv, RefusesBadQuotes) {
  EXPECT_EQ(error("a\n\"1\n2\n"), "x.csv:2: a quote is opened and not closed");
  EXPECT_EQ(error("a\n\"1\"2\n"), "x.csv:2: text after a closing quote");
  EXPECT_EQ(error("a\n1\"2\n"),
            "x.csv:2: a quote inside a field; put the whole field into quotes and double those "
            "inside");
}

TEST(Csv, NumbersAreWholeFields) {
  EXPECT_EQ(csv_integer("-12"), -12);
  EXPECT_EQ(csv_number("1e-3"), 1e-3);
  EXPECT_EQ(error_of([] { csv_integer("12x"); }), "must be an integer, is \"12x\"");
  EXPECT_EQ(error_of([] { csv_integer(""); }), "must be an integer, is \"\"");
  EXPECT_EQ(error_of([] { csv_integer("1.5"); }), "must be an integer, is \"1.5\"");
  EXPECT_EQ(error_of([] { csv_integer("9999999999999999999"); }),
            "is too large: 9999999999999999999");
  EXPECT_EQ(error_of([] { csv_number("fast"); }), "must be a number, is \"fast\"");
  EXPECT_EQ(error_of([] { csv_number("inf"); }), "must be finite, is inf");
  EXPECT_EQ(error_of([] { csv_number("1e999"); }), "is too large: 1e999");
}

TEST(Csv, AnyPrefixEitherReadsOrIsAnError) {
  const std::string_view text = "\xef\xbb\xbf# x\r\na,\"b\"\"\",c\r\n\r\n 1,\"2\n,\"\"\",3\r\n";
  for (std::size_t length = 0; length < text.size(); ++length) {
    try {
      rows(text.substr(0, length), CsvComments::kHash);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace shardlab
