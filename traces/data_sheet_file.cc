#include "traces/data_sheet_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "traces/atomic_file.h"
#include "traces/toml_node.h"

namespace shardlab {
namespace {

constexpr std::array<std::string_view, 3> kRates{"fp32", "tf32", "half"};

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Takes a rate in units of `unit`.
auto rate(double& value, double unit) {
  return [&value, unit](const toml::node& node) {
    value = number(node) * unit;
    if (!(value > 0)) throw Error("must be above 0");
  };
}

class SheetReader {
 public:
  SheetReader(const toml::table& table, const std::string& origin)
      : table_(table), origin_(origin) {}

  DataSheet read() const {
    constexpr std::array<std::string_view, 8> kKeys{
        "name",        "aliases",         "fp32_tflops",   "tf32_tflops",
        "half_tflops", "memory_gb_per_s", "host_gb_per_s", "source"};
    refuse_unknown_keys(table_, origin_, kKeys);
    DataSheet sheet;
    required("name", [&](const toml::node& node) { sheet.name = text(node); });
    required("source", [&](const toml::node& node) { sheet.source = text(node); });
    optional("aliases", [&](const toml::node& node) {
      const toml::array* list = node.as_array();
      if (list == nullptr) throw Error("must be a list of names");
      for (const toml::node& each : *list) sheet.aliases.push_back(text(each));
    });
    required("fp32_tflops", rate(sheet.fp32, 1e12));
    optional("tf32_tflops", rate(sheet.tf32, 1e12));
    optional("half_tflops", rate(sheet.half, 1e12));
    required("memory_gb_per_s", rate(sheet.bytes_per_second, 1e9));
    required("host_gb_per_s", rate(sheet.host_bytes_per_second, 1e9));
    return sheet;
  }

 private:
  template <typename Set>
  bool optional(std::string_view key, const Set& set) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return false;
    in_context(place(origin_, node->source(), key), [&] { set(*node); });
    return true;
  }
  template <typename Set>
  void required(std::string_view key, const Set& set) const {
    if (optional(key, set)) return;
    throw Error(place(origin_, table_.source(), key) + ": missing in this device");
  }

  const toml::table& table_;
  const std::string& origin_;
};

}  // namespace

double DataSheet::flops(MatrixRate rate) const {
  const double found = rate == MatrixRate::kFp32 ? fp32 : rate == MatrixRate::kTf32 ? tf32 : half;
  if (found > 0) return found;
  throw Error(fmt::format("the data sheet of {} has no rate for {}", name, to_string(rate)));
}

std::string to_string(MatrixRate rate) {
  return std::string(kRates.at(static_cast<std::size_t>(rate)));
}

MatrixRate parse_matrix_rate(const std::string& name) {
  const auto found = std::ranges::find(kRates, name);
  if (found != kRates.end()) return static_cast<MatrixRate>(found - kRates.begin());
  throw Error(fmt::format("\"{}\" is no rate; there are {}", name, fmt::join(kRates, ", ")));
}

std::vector<DataSheet> parse_data_sheets(std::string_view text, const std::string& origin) {
  const toml::table root = parse_toml(text, origin);
  constexpr std::array<std::string_view, 1> kKeys{"device"};
  refuse_unknown_keys(root, origin, kKeys);
  std::vector<DataSheet> sheets;
  std::map<std::string, std::string> taken;  // Names of all kinds, with whose they are.
  for (const toml::table* table : tables(root, origin, "device")) {
    DataSheet sheet = SheetReader(*table, origin).read();
    std::vector<std::string> names = sheet.aliases;
    names.push_back(sheet.name);
    for (const std::string& name : names) {
      const auto [other, fresh] = taken.emplace(lower_case(name), sheet.name);
      if (fresh) continue;
      throw Error(fmt::format("{}: \"{}\" is also a name of {}", place(origin, table->source()),
                              name, other->second));
    }
    sheets.push_back(std::move(sheet));
  }
  return sheets;
}

std::vector<DataSheet> read_data_sheets(const std::string& path) {
  return parse_data_sheets(read_whole_file(path), path);
}

const DataSheet& find_sheet(const std::vector<DataSheet>& sheets, const std::string& name) {
  std::vector<std::string_view> known;
  for (const DataSheet& sheet : sheets) {
    if (lower_case(sheet.name) == lower_case(name)) return sheet;
    for (const std::string& alias : sheet.aliases) {
      if (lower_case(alias) == lower_case(name)) return sheet;
      known.push_back(alias);
    }
    known.push_back(sheet.name);
  }
  throw Error(fmt::format("no data sheet of \"{}\"{}; add one to the file of data sheets", name,
                          suggestion(name, known)));
}

}  // namespace shardlab
