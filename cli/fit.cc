#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "fit/estimator.h"
#include "fit/fitted_profile.h"
#include "report/table.h"
#include "traces/data_sheet_file.h"
#include "traces/json_object.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

struct Options {
  std::vector<std::string> profiles;
  std::vector<int> batches;
  std::string workload, device, from, sheets, precision, output;
  std::vector<std::string> accept;
  bool json = false;
};

std::vector<Shape> wanted(const Options& options, const Profile& measured) {
  std::vector<Shape> shapes;
  if (!options.workload.empty()) shapes = shapes_of(read_workload(options.workload));
  for (const ModelProfile& each : measured.models) {
    if (options.batches.empty() && options.workload.empty()) shapes.push_back(shape_of(each));
    for (const int batch : options.batches) {
      shapes.push_back({each.model, each.optimizer, batch});
    }
  }
  return shapes;
}

std::optional<OtherDevice> other_device(const Options& options, const Profile& measured) {
  if (options.device.empty()) return std::nullopt;
  const auto sheets = read_data_sheets(options.sheets.empty() ? data_sheets() : options.sheets);
  const std::string& from = options.from.empty() ? measured.provenance.device : options.from;
  OtherDevice other{find_sheet(sheets, from), find_sheet(sheets, options.device)};
  if (!options.precision.empty()) other.imported_precision = parse_any_precision(options.precision);
  return other;
}

std::string shape_text(const Shape& shape) {
  return fmt::format("{}, batch {}", describe(shape.model), shape.batch);
}

double minibatch_ms(const ModelProfile& entry) {
  double ns = 0;
  for (const LayerCost& layer : entry.layers) {
    for (const Phase phase : kPhases) {
      ns += static_cast<double>(of(layer.alone, phase).median.count());
    }
  }
  return ns * 1e-6;
}

std::string held_out_text(const std::vector<HeldOut>& held_out) {
  if (held_out.empty()) {
    return "held out: nothing, as no two measured sizes are comparable; intervals are as wide as "
           "any law of\nkernels, FLOPs and bytes allows\n";
  }
  TextTable table({"held out", "estimated ms", "measured ms", "error %"});
  double worst = 0;
  for (const HeldOut& each : held_out) {
    table.row({shape_text(each.shape), fmt::format("{:.3f}", each.predicted * 1e-6),
               fmt::format("{:.3f}", each.measured * 1e-6),
               fmt::format("{:+.1f}", 100 * (each.predicted / each.measured - 1))});
    worst = std::max(worst, each.error());
  }
  return table.text() + fmt::format("held-out error: median {:.1f} %, worst {:.1f} %\n",
                                    100 * median_error(held_out).value_or(0), 100 * worst);
}

std::string entries_text(const Profile& made) {
  TextTable table({"model", "minibatch ms", "90 % interval"});
  for (const ModelProfile& each : made.models) {
    table.row({shape_text(shape_of(each)), fmt::format("{:.3f}", minibatch_ms(each)),
               each.interval
                   ? fmt::format("estimated, within a factor of {:.2f}", 1 + *each.interval)
                   : "measured"});
  }
  return table.text();
}

nlohmann::ordered_json fit_json(const Profile& made, const std::vector<HeldOut>& held_out) {
  nlohmann::ordered_json body{{"device", made.provenance.device},
                              {"method", made.provenance.estimated->method},
                              {"inputs", made.provenance.estimated->inputs}};
  body["held_out"] = nlohmann::ordered_json::array();
  for (const HeldOut& each : held_out) {
    body["held_out"].push_back({{"model", describe(each.shape.model)},
                                {"precision", to_string(each.shape.model.precision)},
                                {"batch", each.shape.batch},
                                {"estimated_s", each.predicted * 1e-9},
                                {"measured_s", each.measured * 1e-9},
                                {"error", each.error()}});
  }
  body["models"] = nlohmann::ordered_json::array();
  for (const ModelProfile& each : made.models) {
    nlohmann::ordered_json entry{{"model", describe(each.model)},
                                 {"precision", to_string(each.model.precision)},
                                 {"batch", each.batch},
                                 {"minibatch_s", minibatch_ms(each) * 1e-3},
                                 {"interval", nullptr}};
    if (each.interval) entry["interval"] = json_number(*each.interval);
    body["models"].push_back(std::move(entry));
  }
  return body;
}

int fit(const Options& options) {
  refuse_overwriting(options.output, options.profiles);
  refuse_overwriting(options.output, {options.workload, options.sheets});
  std::vector<Profile> read;
  for (const std::string& path : options.profiles) read.push_back(read_profile(path));
  const Profile measured = merged(std::move(read), accepted(options.accept));
  const auto other = other_device(options, measured);
  if (!options.precision.empty() && !other) throw UsageError("--precision is of --device");
  if (!other && options.batches.empty() && options.workload.empty()) {
    throw UsageError("nothing to estimate: give --batch, --workload or --device");
  }
  const Profile made = fitted(measured, wanted(options, measured), other, accepted(options.accept));
  write_profile(options.output, made);
  const Estimator estimator(measured.models);
  if (options.json) {
    print_json("fit", fit_json(made, estimator.held_out()));
    return 0;
  }
  print_text(held_out_text(estimator.held_out()) + "\n" + entries_text(made));
  print_text(
      fmt::format("written: {}, estimated for {}\n", options.output, made.provenance.device));
  return 0;
}

}  // namespace

Action declare_fit(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("PROFILE", options->profiles, "profiles measured on one device")->required();
  app.add_option("-o,--output", options->output, "the profile that is written")->required();
  app.add_option("--batch", options->batches,
                 "estimate every model of the profiles at these batches")
      ->delimiter(',')
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--workload", options->workload,
                 "estimate its models, at their batches and all that divide them");
  app.add_option("--device", options->device, "estimate another device, by both data sheets");
  app.add_option("--from", options->from, "data sheet of the profiles' device (by its name)");
  app.add_option("--precision", options->precision,
                 "--device: what imported models computed their matrix products in, where the "
                 "profile does not say it: fp32, tf32, bf16, fp16")
      ->check(any_precision());
  app.add_option("--data-sheets", options->sheets, "TOML file (profiles/devices.toml)");
  add_accept_option(app, options->accept);
  add_json_flag(app, options->json);
  app.footer(
      "Costs of sizes and devices that were not measured: by non-negative least squares on "
      "kernels, "
      "FLOPs and bytes,\nand by a roofline of compute rate and memory bandwidth. Measured entries "
      "stay as they are; all others are marked\nestimated, with the interval that holds nine of "
      "ten true times. Each measured size is also estimated from the\nothers: the held-out "
      "error.\nExamples:\n"
      "  shardlab fit profile.json --batch 1,2,4 -o small-batches.json\n"
      "  shardlab fit profiles/h100-bert-large.json profiles/h100-gpt2-xl.json --workload "
      "workload.toml --device \"RTX 2080 Ti\" \\\n    -o 2080ti.json");
  return [options] { return fit(*options); };
}

}  // namespace shardlab
