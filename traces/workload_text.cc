#include <cassert>
#include <sstream>
#include <utility>

#include <toml++/toml.h>

#include "traces/workload_file.h"

namespace shardlab {
namespace {

void add_what_is_not_usual(const Job& job, toml::table& table) {
  const Job usual;
  if (job.seed != usual.seed) table.insert("seed", static_cast<std::int64_t>(job.seed));
  if (!job.data.empty()) table.insert("data", job.data);
  if (job.arrival != usual.arrival) table.insert("arrival_s", seconds(job.arrival));
  if (job.priority != usual.priority) table.insert("priority", job.priority);
  if (job.frozen_layers > 0) table.insert("frozen_layers", job.frozen_layers);
  if (job.lora_rank > 0) table.insert("lora_rank", job.lora_rank);
  if (!job.base.empty()) table.insert("base", job.base);
  if (job.stop_after > 0) table.insert("stop_after", job.stop_after);
  if (job.imported_precision) table.insert("precision", to_string(*job.imported_precision));
}

void add_model(const ModelSpec& model, toml::table& table) {
  if (model.architecture == Architecture::kImported) {
    table.insert("model", describe(model));
    return;
  }
  table.insert("model", to_string(model.architecture));
  table.insert("layers", model.layers);
  table.insert("width", model.width);
  table.insert("heads", model.heads);
  table.insert("context", model.context);
  table.insert("dropout", model.dropout);
  table.insert("precision", to_string(model.precision));
  if (model.batch_norm) table.insert("norm", kBatchNorm);
  if (model.feed_forward > 0) table.insert("feed_forward", model.feed_forward);
}

toml::table job_table(const Job& job) {
  toml::table table{{"name", job.name},
                    {"batch", job.batch},
                    {"optimizer", to_string(job.optimizer.kind)},
                    {"learning_rate", job.optimizer.learning_rate},
                    {"momentum", job.optimizer.momentum},
                    {"weight_decay", job.optimizer.weight_decay},
                    {"minibatches", job.minibatches}};
  add_model(job.model, table);
  add_what_is_not_usual(job, table);
  return table;
}

}  // namespace

std::string workload_toml(const Workload& workload) {
  assert(!workload.early_stop);
  toml::array jobs;
  for (const Job& job : workload.jobs) jobs.push_back(job_table(job));
  std::ostringstream text;
  text << toml::table{{"job", std::move(jobs)}} << '\n';
  return text.str();
}

}  // namespace shardlab
