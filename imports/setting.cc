#include "imports/setting.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fnmatch.h>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "traces/layer_costs.h"
#include "traces/value.h"

namespace shardlab {
namespace {

bool is_of_layer(CostField field) { return field < CostField::kInput; }

CostField parse_field(std::string_view text) {
  if (text == "activation_bytes") return CostField::kOutput;
  const auto found = std::ranges::find(kCostFields, text);
  if (found == kCostFields.end()) {
    throw Error(
        fmt::format("\"{}\" is no field of a profile{}", text, suggestion(text, kCostFields)));
  }
  return static_cast<CostField>(found - kCostFields.begin());
}

/// "1.5 ms", or an integer of nanoseconds.
std::int64_t parse_time(std::string_view text) {
  std::int64_t nanoseconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), nanoseconds);
  if (problem == std::errc{} && end == text.data() + text.size()) {
    return within(nanoseconds, 0, kMostInFile);
  }
  return interval(text).count();
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// "10 us + 24 GB": latency and rate.
CopyCost parse_copy(std::string_view text) {
  CopyCost copy;
  const std::size_t plus = text.find('+');
  if (plus == std::string_view::npos) {
    throw Error("say latency and rate, as '10 us + 24 GB' (without latency: '0 + 24 GB')");
  }
  copy.latency = Duration{parse_time(trimmed(text.substr(0, plus)))};
  text = trimmed(text.substr(plus + 1));
  if (text.ends_with("/s")) text.remove_suffix(2);
  copy.bytes_per_second = static_cast<double>(parse_bytes(trimmed(text)));
  if (copy.bytes_per_second == 0) throw Error("a rate of 0 copies nothing");
  return copy;
}

Setting parse(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos) throw Error("write LAYER.FIELD=VALUE or FIELD=VALUE");
  const std::string_view target = trimmed(std::string_view(text).substr(0, equals));
  const std::string_view value = trimmed(std::string_view(text).substr(equals + 1));
  const std::size_t dot = target.rfind('.');
  const bool of_layers = dot != std::string_view::npos;
  Setting result{text, {}, parse_field(of_layers ? target.substr(dot + 1) : target), 0, {}};
  if (of_layers) result.pattern = target.substr(0, dot);
  if (of_layers && result.pattern.empty()) throw Error("names no layer before the dot");
  if (of_layers != is_of_layer(result.field)) {
    throw Error(fmt::format("{} is of {}", name(result.field),
                            of_layers ? "no layer; leave the layer out"
                                      : "layers; write LAYER." + std::string(name(result.field))));
  }
  if (is_copy(result.field)) {
    result.copy = parse_copy(value);
  } else {
    result.value = is_time(result.field) ? parse_time(value) : parse_bytes(value);
  }
  return result;
}

void set_host(const Setting& setting, HostCosts& host) {
  if (setting.field == CostField::kCopy) host.copy = setting.copy;
  if (setting.field == CostField::kCopyBack) host.copy_back = setting.copy;
  if (setting.field == CostField::kUnitOverhead) host.unit_overhead = Duration{setting.value};
  if (setting.field == CostField::kDispatch) host.dispatch = Duration{setting.value};
  host.missing.set(setting.field, false);
}

void set_layer(const Setting& setting, LayerCost& layer) {
  if (is_time(setting.field)) {
    know(layer, setting.field, Measured{Duration{setting.value}, {}, 0, std::nullopt});
  } else {
    know(layer, setting.field, Bytes{setting.value});
  }
}

/// Whose name it is, else those that it is a pattern of: a name may hold a star.
std::vector<std::size_t> layers_of(const Setting& setting, const std::vector<LayerCost>& layers) {
  const bool exact = std::ranges::find(layers, setting.pattern, &LayerCost::name) != layers.end();
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool of = exact ? layers[i].name == setting.pattern
                          : fnmatch(setting.pattern.c_str(), layers[i].name.c_str(), 0) == 0;
    if (of) found.push_back(i);
  }
  return found;
}

[[noreturn]] void refuse_pattern(const Setting& setting, const std::vector<LayerCost>& layers) {
  std::string names;
  for (const LayerCost& layer : layers) {
    names += (names.empty() ? "" : ", ") + layer.name;
    if (names.size() < 200) continue;
    names += ", ...";
    break;
  }
  throw UsageError(fmt::format("--set '{}': no layer is called \"{}\"; there are {}", setting.text,
                               setting.pattern, names));
}

}  // namespace

Setting parse_setting(const std::string& text) {
  try {
    return parse(text);
  } catch (const Error& error) {
    throw UsageError(fmt::format("--set '{}': {}", text, error.what()));
  }
}

void apply(const std::vector<Setting>& settings, Imported& to) {
  /// Which setting stands for a field of a layer, or of the model or host.
  constexpr std::size_t kNoLayer = SIZE_MAX;
  std::map<std::pair<CostField, std::size_t>, std::size_t> stands;
  for (std::size_t s = 0; s < settings.size(); ++s) {
    const Setting& setting = settings[s];
    if (setting.pattern.empty()) {
      if (setting.field == CostField::kInput) {
        to.model.input = setting.value;
      } else {
        set_host(setting, to.host);
      }
      stands[{setting.field, kNoLayer}] = s;
      continue;
    }
    const std::vector<std::size_t> layers = layers_of(setting, to.model.layers);
    if (layers.empty()) refuse_pattern(setting, to.model.layers);
    for (const std::size_t i : layers) {
      set_layer(setting, to.model.layers[i]);
      stands[{setting.field, i}] = s;
    }
  }
  std::vector<std::int64_t> count(settings.size());
  for (const auto& [where, s] : stands) ++count[s];
  for (std::size_t s = 0; s < settings.size(); ++s) {
    const Setting& setting = settings[s];
    const std::string where = setting.field == CostField::kInput ? "model"
                              : setting.pattern.empty()          ? "host"
                                                        : fmt::format("{} layers", count[s]);
    to.notes.push_back(
        count[s] > 0
            ? fmt::format("{} of {}: set by user ({})", name(setting.field), where, setting.text)
            : fmt::format("--set '{}' came to nothing: a later one is of the same", setting.text));
  }
}

}  // namespace shardlab
