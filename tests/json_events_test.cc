#include "traces/json_events.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

/// Gives a few bytes at a time.
class Dripping : public ByteStream {
 public:
  Dripping(std::string_view text, std::size_t each) : text_(text), each_(each) {}
  std::size_t read(std::span<char> to) override {
    const std::size_t size = text_.copy(to.data(), std::min(to.size(), each_));
    text_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view text_;
  std::size_t each_;
};

struct Taken {
  std::vector<std::string> events, members;
  std::string cut_off;
};

Taken take(std::string_view text, std::size_t each = 1 << 20) {
  Dripping stream(text, each);
  JsonEvents values(stream);
  Taken taken;
  while (values.next()) {
    if (values.is_event()) {
      taken.events.emplace_back(values.text());
    } else {
      taken.members.push_back(std::string(values.key()) + "=" + std::string(values.text()));
    }
  }
  taken.cut_off = values.cut_off();
  return taken;
}

std::string error(const std::string& text) {
  return error_of([&] { take(text); });
}

using Texts = std::vector<std::string>;

TEST(JsonEvents, TakesEventsAndMembersApartHoweverTheBytesArrive) {
  const std::string text =
      "\xef\xbb\xbf {\"schemaVersion\": 1, \"a\": {\"b\": [\"]\"]}, \"traceEvents\": [ "
      "{\"name\":\"}\\\"{\"} ,\n"
      "{\"args\":{\"x\":[1,{}]}}, null ], \"last\": \"x\\\\\"}\n";
  for (const std::size_t each : {1U, 2U, 3U, 7U, 1000U}) {
    const Taken taken = take(text, each);
    EXPECT_EQ(taken.events, (Texts{"{\"name\":\"}\\\"{\"}", "{\"args\":{\"x\":[1,{}]}}", "null"}))
        << each;
    EXPECT_EQ(taken.members, (Texts{"schemaVersion=1", "a={\"b\": [\"]\"]}", "last=\"x\\\\\""}))
        << each;
    EXPECT_EQ(taken.cut_off, "") << each;
  }
}

TEST(JsonEvents, TakesABareListEvenWithoutItsEnd) {
  EXPECT_EQ(take("[{\"a\":1},{\"a\":2}]").events, (Texts{"{\"a\":1}", "{\"a\":2}"}));
  EXPECT_EQ(take("[{\"a\":1},\n").events, (Texts{"{\"a\":1}"}));
  EXPECT_EQ(take("[{\"a\":1},\n").cut_off, "");
  EXPECT_EQ(take("[]").events, Texts{});
}

TEST(JsonEvents, SaysThatATraceIsCutOffAndGivesWhatCameBefore) {
  const std::string whole = "{\"traceEvents\": [{\"a\":1}, {\"a\":\"2\"}]}";
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Taken taken = take(std::string_view(whole).substr(0, size));
    EXPECT_EQ(taken.cut_off,
              "it ends at byte " + std::to_string(size) + ", before the end of the trace");
    EXPECT_EQ(taken.events.size(), size < 24 ? 0U : size < 35 ? 1U : 2U) << size;
  }
  EXPECT_EQ(take(whole).cut_off, "");
}

TEST(JsonEvents, HoldsALongValueWhole) {
  const std::string name(3 << 20, 'x');
  const Taken taken = take("{\"traceEvents\": [{\"name\":\"" + name + "\"},{}]}");
  ASSERT_EQ(taken.events.size(), 2U);
  EXPECT_EQ(taken.events[0].size(), name.size() + 11);
}

TEST(JsonEvents, RefusesWhatIsNoTrace) {
  EXPECT_EQ(error(""), "is empty");
  EXPECT_EQ(error(" \n"), "is empty");
  EXPECT_EQ(error("hello"), "byte 0: is no Chrome trace: it begins with neither { nor [");
  EXPECT_EQ(error("{\"a\" 1}"), "byte 5: a colon must stand here");
  EXPECT_EQ(error("{\"a\": 1 \"b\": 2}"), "byte 8: a comma must stand here");
  EXPECT_EQ(error("{a: 1}"), "byte 1: a key must stand here");
  EXPECT_EQ(error("{\"traceEvents\": [{} {}]}"), "byte 20: a comma must stand here");
  EXPECT_EQ(error("{\"a\": }"), "byte 6: a value must stand here");
}

}  // namespace
}  // namespace shardlab
