#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/output.h"
#include "cli/recorded_report.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "imports/fill.h"
#include "imports/importers.h"
#include "imports/setting.h"
#include "report/table.h"
#include "traces/layer_costs.h"
#include "traces/profile_file.h"
#include "traces/source_file.h"

namespace shardlab {
namespace {

using Importer = Imported (*)(const std::string& path, const ImportOptions& options);
const std::map<std::string, Importer> kImporters{{"csv", import_csv},
                                                 {"kineto", import_kineto},
                                                 {"nsight", import_nsight},
                                                 {"perseus", import_perseus},
                                                 {"pipedream", import_pipedream}};

struct Options {
  std::string format, optimizer, device, precision, output = "profile.json";
  std::vector<std::string> files, settings;
  std::string fill;
  std::vector<int> fill_at;
  ImportOptions import;
  bool json = false;
};

/// The sum of a time over the layers, in milliseconds, or "-" where one is not known.
std::string time_cell(const ModelProfile& model, const TimeField& field) {
  double sum = 0;
  for (const LayerCost& layer : model.layers) {
    if (layer.missing.has(field.field)) return "-";
    sum += seconds((layer.alone.*(field.time)).median);
  }
  return fmt::format("{:.3f}", sum * 1e3);
}

std::string parameters_cell(const ModelProfile& model) {
  Bytes sum = 0;
  for (const LayerCost& layer : model.layers) {
    if (layer.missing.has(CostField::kParameters)) return "-";
    sum += layer.parameters;
  }
  return format_mebibytes(sum);
}

/// Null where it is not known.
nlohmann::ordered_json precision_json(const ModelProfile& model) {
  if (model.model.architecture != Architecture::kImported) return to_string(model.model.precision);
  if (!model.imported_precision) return nullptr;
  return to_string(*model.imported_precision);
}

/// What the file lacked, line by line, each behind `label`.
std::string remarks_text(const Imported& imported, const std::string& label) {
  std::string text;
  if (imported.device_time) {
    const auto ms = [](Duration time) { return seconds(time) * 1e3; };
    const auto& [all, layers, optimizer, unattributed] = *imported.device_time;
    text += fmt::format(
        "{}the device worked {:.3f} ms: {:.3f} for layers, {:.3f} for the optimizer, {:.3f} not "
        "attributed (what ran at the same time counts in each)\n",
        label, ms(all), ms(layers), ms(optimizer), ms(unattributed));
  }
  for (const auto& [count, what, why] : imported.unused) {
    text += fmt::format("{}could not use {} {}: {}\n", label, count, what, why);
  }
  for (const std::string& note : imported.notes) text += label + note + "\n";
  const auto missing = missing_costs(imported.model);
  if (!missing.empty()) {
    text += fmt::format("{}not known: {}\n", label, fmt::join(missing, ", "));
  }
  if (precision_json(imported.model).is_null()) {
    text += label + "not known: its precision, which fit --device asks for (--precision)\n";
  }
  if (imported.whole_step && imported.model.layers.front().missing.has(CostField::kStep)) {
    text += fmt::format(
        "{}the optimizer took {:.3f} ms a minibatch: step_ns follows once "
        "parameter_bytes are known\n",
        label, seconds(imported.whole_step->median) * 1e3);
  }
  return text;
}

std::string import_text(const std::vector<Imported>& all) {
  std::vector<std::string> columns{"model", "device", "optimizer", "batch", "layers"};
  for (const TimeField& time : kTimeFields) columns.push_back(std::string(time.name) + " ms");
  columns.emplace_back("parameters MiB");
  TextTable table(columns);
  std::string remarks;
  for (const Imported& each : all) {
    const ModelProfile& model = each.model;
    const std::string label = describe(model.model);
    std::vector<std::string> cells{label, each.device, to_string(model.optimizer),
                                   fmt::format("{}", model.batch),
                                   fmt::format("{}", model.layers.size())};
    for (const TimeField& time : kTimeFields) cells.push_back(time_cell(model, time));
    cells.push_back(parameters_cell(model));
    table.row(std::move(cells));
    remarks += remarks_text(each, all.size() > 1 ? label + ": " : "");
  }
  std::vector<const ModelProfile*> models;
  for (const Imported& each : all) models.push_back(&each.model);
  return table.text() + recorded_text(models) + remarks;
}

std::vector<std::string> missing_of_host(const HostCosts& host) {
  std::vector<std::string> missing;
  for (std::size_t f = 0; f < kCostFields.size(); ++f) {
    if (host.missing.has(static_cast<CostField>(f))) missing.emplace_back(kCostFields[f]);
  }
  return missing;
}

nlohmann::ordered_json device_time_json(const std::optional<DeviceTime>& time) {
  if (!time) return nullptr;
  return {{"all", time->all.count()},
          {"layers", time->layers.count()},
          {"optimizer", time->optimizer.count()},
          {"unattributed", time->unattributed.count()}};
}

nlohmann::ordered_json import_json(const std::vector<Imported>& all, const std::string& path) {
  auto models = nlohmann::ordered_json::array();
  for (const Imported& each : all) {
    auto unused = nlohmann::ordered_json::array();
    for (const auto& [count, what, why] : each.unused) {
      unused.push_back({{"count", count}, {"what", what}, {"why", why}});
    }
    models.push_back({{"model", describe(each.model.model)},
                      {"batch", each.model.batch},
                      {"device", each.device},
                      {"precision", precision_json(each.model)},
                      {"optimizer", to_string(each.model.optimizer)},
                      {"device_time_ns", device_time_json(each.device_time)},
                      {"recorded", recorded_json(each.model)},
                      {"layers", each.model.layers.size()},
                      {"not_known", missing_costs(each.model)},
                      {"unused", std::move(unused)},
                      {"notes", each.notes}});
  }
  return {{"profile", path},
          {"not_known_of_host", missing_of_host(all.front().host)},
          {"models", std::move(models)}};
}

/// What is no text where text is wanted, and the other way round, by its first bytes.
void refuse_other_format(const std::string& path, const std::string& format) {
  constexpr std::string_view kGzip = "\x1f\x8b", kSqlite = "SQLite format 3";
  std::string begin(kSqlite.size(), '\0');
  std::ifstream(path, std::ios::binary)
      .read(begin.data(), static_cast<std::streamsize>(begin.size()));
  if (begin.starts_with(kSqlite)) {
    if (format == "nsight") return;
    throw Error("is an SQLite database; shardlab import nsight reads those of Nsight Systems");
  }
  if (format == "nsight") {
    throw Error("is no SQLite database; nsys export --type sqlite makes one of a report");
  }
  if (begin.starts_with(kGzip) && format != "kineto") {
    throw Error("is compressed with gzip, which only kineto reads; unpack it first");
  }
}

Imported import_file(const Options& options, const std::vector<Setting>& settings,
                     const std::optional<Job>& from, const std::string& path) {
  const SourceFile source = source_file(path);
  in_context(path, [&] { refuse_other_format(path, options.format); });
  Imported result = kImporters.at(options.format)(path, options.import);
  if (!options.device.empty()) {
    in_context(path, [&] { set_device(options.device, result); });
  }
  if (!options.precision.empty()) {
    in_context(path, [&] { set_precision(parse_any_precision(options.precision), result); });
  }
  result.sources.push_back(source);
  if (from) {
    fill(options.fill, *from, options.fill_at, result);
    result.sources.push_back(source_file(options.fill));
  }
  apply(settings, result);
  derive(result);
  return result;
}

/// How a job takes it.
std::string use_text(const Options& options, const ModelProfile& model) {
  if (model.model.architecture != Architecture::kImported) {
    return fmt::format("it has the costs of {}", options.fill);
  }
  return fmt::format("a job takes it with model = \"{}\", batch = {}", describe(model.model),
                     model.batch);
}

void refuse_options_of_traces(const Options& options) {
  if (options.format == "kineto" || options.format == "nsight") return;
  for (const auto& [option, rule] :
       {std::pair("--layer-rule", options.import.layer_rule),
        std::pair("--step-rule", options.import.step_rule),
        std::pair("--process", options.import.process), std::pair("--gpu", options.import.gpu)}) {
    if (rule.empty()) continue;
    throw UsageError(
        fmt::format("{} is of kineto and nsight; {} is no trace", option, options.format));
  }
}

int import_files(Options options) {
  if (options.files.size() > 1 && !options.import.name.empty()) {
    throw UsageError("--name names one model; several files are named after themselves");
  }
  refuse_overwriting(options.output, options.files);
  refuse_overwriting(options.output, {options.fill});
  refuse_options_of_traces(options);
  std::optional<Job> from;
  if (!options.fill.empty()) {
    from = job_to_fill_from(options.fill);
    options.import.usual_batch = from->batch;
    options.import.usual_optimizer = from->optimizer.kind;
    options.import.usual_from = options.fill;
  } else if (!options.fill_at.empty()) {
    throw UsageError("--fill-at says how --fill is divided; give that too");
  }
  if (!options.optimizer.empty()) options.import.optimizer = parse_optimizer(options.optimizer);
  std::vector<Setting> settings;
  for (const std::string& text : options.settings) settings.push_back(parse_setting(text));
  std::vector<Imported> all;
  for (const std::string& path : options.files) {
    all.push_back(import_file(options, settings, from, path));
  }
  write_profile(options.output, as_profile(all, SHARDLAB_VERSION));
  if (options.json) {
    print_json("import", import_json(all, options.output));
    return 0;
  }
  const auto missing = missing_of_host(all.front().host);
  const std::string host =
      missing.empty() ? "" : fmt::format("not known of the host: {}\n", fmt::join(missing, ", "));
  print_text(
      import_text(all) + host +
      fmt::format("written: {}; {}\n", options.output, use_text(options, all.front().model)));
  return 0;
}

}  // namespace

Action declare_import(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("FORMAT", options->format, "kineto, nsight, pipedream, perseus or csv")
      ->required()
      ->check(CLI::IsMember(kImporters));
  app.add_option("FILE", options->files, "each gives one model")->required();
  app.add_option("-o,--output", options->output, "where the profile goes")->capture_default_str();
  app.add_option("--name", options->import.name, "of the model (the file's)");
  app.add_option("--batch", options->import.batch,
                 "samples per minibatch, where the file does not say it")
      ->check(positive());
  app.add_option("--optimizer", options->optimizer,
                 "what the step is of (as the trace says, else that of --fill, or adamw)")
      ->check(CLI::IsMember({"adamw", "sgd"}));
  app.add_option("--device", options->device, "what was measured, where the file does not say it");
  app.add_option(
      "--layer-rule", options->import.layer_rule,
      "kineto, nsight: regular expression of the ranges that are layers; its first group "
      "names them (modules, else annotations)");
  app.add_option("--step-rule", options->import.step_rule,
                 "kineto, nsight: the same of the ranges that are minibatches (ProfilerStep#N)");
  app.add_option("--process", options->import.process,
                 "kineto, nsight: id of the process to import, where a trace has several");
  app.add_option("--gpu", options->import.gpu,
                 "kineto, nsight: number of the GPU to import, where a trace has several; all: as "
                 "one device");
  app.add_option("--precision", options->precision,
                 "what matrix products were computed in, where the file does not say it: fp32, "
                 "tf32, bf16, fp16")
      ->check(any_precision());
  app.add_option("--fill", options->fill,
                 "a workload with one model: sizes that the file lacks are taken from it");
  app.add_option("--fill-at", options->fill_at,
                 "with which layer of that model each imported one begins, as 0,7,13 (one each)")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--set", options->settings,
                 "a cost that the file lacks: LAYER.FIELD=VALUE, where LAYER is a pattern, or "
                 "FIELD=VALUE of the model or the host")
      ->allow_extra_args(false);
  add_json_flag(app, options->json);
  app.footer(
      "What a file does not say stays unknown, and simulate, sweep and run refuse it by name; "
      "docs/formats.md says what each format gives.\nExamples:\n"
      "  shardlab import kineto trace.json.gz --fill workload.toml --set 'dispatch_ns=5 us'\n"
      "  shardlab import kineto trace.json.gz --batch 32 --layer-rule '^aten::(conv2d|linear)$'\n"
      "  shardlab import nsight report.sqlite --batch 32 --step-rule '^train_step [0-9]+$'\n"
      "  shardlab import perseus gpt3-xl.prof.json --fill gpt3.toml --fill-at 0,7,13,19\n"
      "  shardlab import pipedream graph.txt --batch 128 --name resnet50 --optimizer sgd \\\n"
      "    --set '*.saved_bytes=0' --set 'copy=10 us + 12 GB'\n"
      "  shardlab import csv layers.csv --batch 32 -o profile.json");
  return [options] { return import_files(*options); };
}

}  // namespace shardlab
