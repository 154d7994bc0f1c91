#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/sample_data.h"
#include "traces/atomic_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace shardlab {
namespace {

/// The database that a script makes, as it would lie in a file.
std::string database(const std::string& script) {
  sqlite3* made = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &made), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(made, script.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_int64 size = 0;
  unsigned char* const bytes = sqlite3_serialize(made, "main", &size, 0);
  std::string result(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  sqlite3_close(made);
  return result;
}

/// Flips, deletes, repeats or cuts off some bytes; now and then writes a digit of nines.
std::string mutated(std::string text, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t i = 1 + below(8); i > 0 && !text.empty(); --i) {
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, 1 + below(16));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), 1 + below(64)));
        break;
      case 3:
        text.insert(at, "99999999999999999999");
        break;
      case 4:
        text[at] = "{}[]\",:-.e0"[below(11)];
        break;
      default:
        if (below(8) == 0) text.resize(at);
    }
  }
  return text;
}

/// What libFuzzer does for minutes (./bootstrap test --long), for a moment: a result or an Error.
TEST(MutatedFiles, OfOthersAreReadOrRefused) {
  const std::string folder = source_file("tests/fixtures/imports/");
  std::vector<std::pair<char, std::string>> seeds;
  for (const auto& [kind, name] : {std::pair('k', "kineto-old.json"),
                                   {'k', "kineto-fractions.json"},
                                   {'d', "graph.txt"},
                                   {'a', "layers.csv"},
                                   {'s', "run_dp1_pp2_tp1_mbs4_nmb2.prof.json"}}) {
    seeds.emplace_back(kind, read_whole_file(folder + name));
  }
  seeds.emplace_back('n', database(read_whole_file(folder + "nsight.sql")));
  std::mt19937_64 random(1);
  for (const auto& [kind, seed] : seeds) {
    for (int i = 0; i < 300; ++i) {
      const std::string input = kind + (i == 0 ? seed : mutated(seed, random));
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    }
  }
}

}  // namespace
}  // namespace shardlab
