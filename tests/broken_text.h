#pragma once

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/error.h"

namespace shardlab {

/// `text` with the one place that says `from` saying `to`.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from << " stands there twice";
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// Every true prefix of `text`, `stride` bytes apart, must be an Error that says so.
template <typename Parse>
void expect_errors_when_cut_off(const std::string& text, const Parse& parse,
                                std::size_t stride = 1) {
  const std::size_t end =
      text.find_last_not_of('\n');  // Without the last new line it is still whole.
  for (std::size_t length = 1; length <= end; length += stride) {
    try {
      parse(text.substr(0, length));
      ADD_FAILURE() << "read " << length << " of " << text.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("may be cut off"), std::string::npos)
          << error.what();
    }
  }
}

/// Any byte may be wrong: it is read or it is an Error, nothing else.
template <typename Parse>
void expect_no_crash_when_flipped(const std::string& text, const Parse& parse) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string broken = text;
    broken[random() % broken.size()] = static_cast<char>(random());
    try {
      parse(broken);
    } catch (const Error&) {
    }
  }
}

}  // namespace shardlab
