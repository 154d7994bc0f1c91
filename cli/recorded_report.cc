#include "cli/recorded_report.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/table.h"
#include "traces/layer_costs.h"

namespace shardlab {
namespace {

constexpr std::array<const char*, 4> kPhaseTexts{"forward", "recompute", "backward", "step"};

const char* text_of(Phase phase) { return kPhaseTexts[static_cast<std::size_t>(phase)]; }

bool has_records(const ModelProfile& model) {
  const auto any = [](const LayerCost& layer) { return !layer.recorded.empty(); };
  return model.unattributed || model.whole_step || std::ranges::any_of(model.layers, any);
}

/// Of one minibatch.
double per_minibatch(const DeviceWork& work, double sum) {
  return sum / static_cast<double>(std::max<std::int64_t>(work.minibatches, 1));
}

/// Means over minibatches, which layers may have taken from unlike numbers of them.
struct Row {
  double launches = 0, busy_ms = 0, gaps_ms = 0, to_device = 0, to_host = 0, others = 0;
  double pageable = 0;  ///< Of `to_device` and `to_host`.

  void add(const DeviceWork& work) {
    const auto mean = [&](double sum) { return per_minibatch(work, sum); };
    launches += mean(static_cast<double>(work.launches));
    busy_ms += mean(seconds(work.busy) * 1e3);
    gaps_ms += mean(seconds(work.gaps) * 1e3);
    for (const auto& [of, totals] : work.copies) {
      const double bytes = mean(static_cast<double>(totals.bytes));
      const bool up = of.direction == CopyDirection::kHostToDevice;
      const bool down = of.direction == CopyDirection::kDeviceToHost;
      (up ? to_device : down ? to_host : others) += bytes;
      if ((up || down) && !of.pinned) pageable += bytes;
    }
  }
};

std::string mebibytes(double bytes) { return fmt::format("{:.3f}", bytes / (1 << 20)); }

void add_row(TextTable& table, const std::string& model, const std::string& what, const Row& row) {
  table.row({model, what, fmt::format("{:.0f}", row.launches), fmt::format("{:.3f}", row.busy_ms),
             fmt::format("{:.3f}", row.gaps_ms), mebibytes(row.to_device), mebibytes(row.to_host),
             mebibytes(row.pageable), mebibytes(row.others)});
}

void add_rows(TextTable& table, const ModelProfile& model) {
  const std::string label = describe(model.model);
  for (const Phase phase : kPhases) {
    Row row;
    bool any = false;
    for (const LayerCost& layer : model.layers) {
      const auto did = layer.recorded.find(phase);
      if (did == layer.recorded.end()) continue;
      row.add(did->second);
      any = true;
    }
    if (any) add_row(table, label, text_of(phase), row);
  }
  for (const auto& [work, what] : {std::pair(&model.whole_step, "step of the model"),
                                   std::pair(&model.unattributed, "in no layer")}) {
    if (!*work) continue;
    Row row;
    row.add(**work);
    add_row(table, label, what, row);
  }
}

/// A layer's phase and what there is most of, with its amount.
using Named = std::pair<double, std::string>;

std::string most(std::vector<Named> all, const char* what, const char* unit) {
  constexpr std::size_t kMostNamed = 3;
  std::erase_if(all, [](const Named& each) { return each.first <= 0; });
  if (all.empty()) return "";
  std::ranges::stable_sort(all, std::greater{}, &Named::first);
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kMostNamed); ++i) {
    text += fmt::format("{}{} {:.3f} {}", i == 0 ? "" : ", ", all[i].second, all[i].first, unit);
  }
  if (all.size() > kMostNamed) text += fmt::format(" and {} more", all.size() - kMostNamed);
  return fmt::format("{}: {}\n", what, text);
}

std::string most_text(const std::vector<const ModelProfile*>& models) {
  std::vector<Named> gaps, copies;
  for (const ModelProfile* model : models) {
    for (const LayerCost& layer : model->layers) {
      for (const auto& [phase, work] : layer.recorded) {
        Row row;
        row.add(work);
        const std::string name = fmt::format("{} of {}", text_of(phase), layer.name);
        gaps.emplace_back(row.gaps_ms, name);
        copies.emplace_back((row.to_device + row.to_host) / (1 << 20), name);
      }
    }
  }
  return most(std::move(gaps), "longest gaps", "ms") +
         most(std::move(copies), "copies between host and device within layers", "MiB");
}

}  // namespace

std::string recorded_text(const std::vector<const ModelProfile*>& models) {
  std::vector<const ModelProfile*> recorded;
  std::ranges::copy_if(models, std::back_inserter(recorded),
                       [](const ModelProfile* model) { return has_records(*model); });
  if (recorded.empty()) return "";
  TextTable table({"recorded, a minibatch", "phase", "launches", "busy ms", "gaps ms",
                   "MiB to device", "MiB to host", "pageable of both", "MiB elsewhere"});
  for (const ModelProfile* model : recorded) add_rows(table, *model);
  return table.text() + most_text(recorded);
}

nlohmann::ordered_json recorded_json(const ModelProfile& model) {
  if (!has_records(model)) return nullptr;
  nlohmann::ordered_json result{{"layers", nlohmann::ordered_json::array()}};
  for (const LayerCost& layer : model.layers) {
    nlohmann::ordered_json each{{"name", layer.name}};
    each.update(recorded_json(layer));
    result["layers"].push_back(std::move(each));
  }
  if (model.whole_step) result["whole_step"] = device_work_json(*model.whole_step);
  if (model.unattributed) result["unattributed"] = device_work_json(*model.unattributed);
  return result;
}

}  // namespace shardlab
