#include "traces/job_keys.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/value.h"

namespace shardlab {
namespace {

constexpr std::int64_t kMostMinibatches = 1'000'000'000'000;
constexpr int kMostPriority = 1'000'000;
constexpr std::int64_t kMostRank = 65'536;

int count(std::int64_t value) { return static_cast<int>(within(value, 1, INT32_MAX)); }

double below_one(double value) {
  if (finite(value, 0) >= 1) throw Error(fmt::format("must be below 1, is {}", value));
  return value;
}

double positive(double value) {
  if (finite(value, 0) == 0) throw Error("must be above 0");
  return value;
}

void set_model(JobDraft& d, std::string v) {
  ModelSpec& model = d.job.model;
  const bool imported = v.starts_with(kImportedPrefix);
  model.architecture = imported ? Architecture::kImported : parse_architecture(v);
  model.imported = imported ? plain_text(v.substr(kImportedPrefix.size())) : "";
}
void set_layers(JobDraft& d, std::int64_t v) { d.job.model.layers = count(v); }
void set_width(JobDraft& d, std::int64_t v) { d.job.model.width = count(v); }
void set_heads(JobDraft& d, std::int64_t v) { d.job.model.heads = count(v); }
void set_context(JobDraft& d, std::int64_t v) { d.job.model.context = count(v); }
void set_feed_forward(JobDraft& d, std::int64_t v) { d.job.model.feed_forward = count(v); }
void set_dropout(JobDraft& d, double v) { d.job.model.dropout = below_one(v); }
void set_precision(JobDraft& d, std::string v) { d.job.model.precision = parse_any_precision(v); }
void set_norm(JobDraft& d, std::string v) {
  if (v != "none" && v != kBatchNorm) {
    throw Error(fmt::format("\"{}\" is no norm of an mlp; there are none and {}", v, kBatchNorm));
  }
  d.job.model.batch_norm = v == kBatchNorm;
}
void set_batch(JobDraft& d, std::int64_t v) { d.job.batch = count(v); }
void set_optimizer(JobDraft& d, std::string v) { d.job.optimizer.kind = parse_optimizer(v); }
void set_learning_rate(JobDraft& d, double v) { d.job.optimizer.learning_rate = positive(v); }
void set_momentum(JobDraft& d, double v) { d.job.optimizer.momentum = below_one(v); }
void set_weight_decay(JobDraft& d, double v) { d.job.optimizer.weight_decay = finite(v, 0); }
void set_minibatches(JobDraft& d, std::int64_t v) {
  d.job.minibatches = within(v, 1, kMostMinibatches);
}
void set_epochs(JobDraft& d, std::int64_t v) { d.epochs = within(v, 1, kMostMinibatches); }
void set_dataset(JobDraft& d, std::int64_t v) {
  d.dataset_sequences = within(v, 1, kMostMinibatches);
}
void set_stop_after(JobDraft& d, std::int64_t v) {
  d.job.stop_after = within(v, 1, kMostMinibatches);
}
void set_seed(JobDraft& d, std::int64_t v) {
  d.job.seed = static_cast<std::uint64_t>(within(v, 0, INT64_MAX));
}
void set_data(JobDraft& d, std::string v) { d.job.data = std::move(v); }
void set_arrival_s(JobDraft& d, double v) { d.job.arrival = interval(v); }
void set_arrival(JobDraft& d, std::string v) { d.job.arrival = interval(std::string_view(v)); }
void set_priority(JobDraft& d, std::int64_t v) {
  d.job.priority = static_cast<int>(within(v, -kMostPriority, kMostPriority));
}
void set_frozen_layers(JobDraft& d, std::int64_t v) {
  d.job.frozen_layers = static_cast<int>(within(v, 0, INT32_MAX));
}
void set_lora_rank(JobDraft& d, std::int64_t v) {
  d.job.lora_rank = static_cast<int>(within(v, 0, kMostRank));
}
void set_base(JobDraft& d, std::string v) { d.job.base = std::move(v); }

constexpr std::array<JobKey, kJobKeys> kKeys{{
    {"model", set_model, true},
    {"layers", set_layers, true},
    {"width", set_width, true},
    {"heads", set_heads},
    {"context", set_context, true},
    {"feed_forward", set_feed_forward},
    {"dropout", set_dropout},
    {"precision", set_precision},
    {"norm", set_norm},
    {"batch", set_batch, true},
    {"optimizer", set_optimizer},
    {"learning_rate", set_learning_rate},
    {"momentum", set_momentum},
    {"weight_decay", set_weight_decay},
    {"minibatches", set_minibatches, false, "epochs"},
    {"epochs", set_epochs, false, "minibatches"},
    {"dataset_sequences", set_dataset},
    {"stop_after", set_stop_after},
    {"seed", set_seed},
    {"data", set_data},
    {"arrival_s", set_arrival_s, false, "arrival"},
    {"arrival", set_arrival, false, "arrival_s"},
    {"priority", set_priority},
    {"frozen_layers", set_frozen_layers},
    {"lora_rank", set_lora_rank},
    {"base", set_base},
}};

bool is_imported(const JobDraft& draft) {
  return draft.job.model.architecture == Architecture::kImported;
}

/// What a model is made of.
bool is_shape(std::string_view key) {
  constexpr std::array<std::string_view, 7> kShape{"layers",       "width",   "heads", "context",
                                                   "feed_forward", "dropout", "norm"};
  return std::find(kShape.begin(), kShape.end(), key) != kShape.end();
}

std::optional<JobFault> missing_or_twice(const JobDraft& draft) {
  for (std::size_t k = 0; k < kJobKeys; ++k) {
    const JobKey& key = kKeys[k];
    if (is_imported(draft)) {
      if (draft.given[k] && is_shape(key.name)) {
        return JobFault{key.name, "the profile says that of an imported model; take it out"};
      }
      if (is_shape(key.name)) continue;
    }
    if (key.required && !draft.given[k]) return JobFault{key.name, "missing in this job"};
    if (draft.given[k] && !key.instead.empty() && given(draft, key.instead)) {
      return JobFault{key.name, fmt::format("says the same as {}; take one out", key.instead)};
    }
  }
  return {};
}

std::optional<JobFault> set_length(JobDraft& draft) {
  if (given(draft, "minibatches")) return {};
  if (!given(draft, "epochs")) {
    return JobFault{"minibatches", "missing in this job; or give epochs and dataset_sequences"};
  }
  if (!given(draft, "dataset_sequences")) {
    return JobFault{"dataset_sequences", "missing in this job: epochs needs it"};
  }
  // At most 10^24, which a double holds nearly and 64 bits do not.
  const double sequences =
      static_cast<double>(draft.epochs) * static_cast<double>(draft.dataset_sequences);
  constexpr auto kMost = static_cast<double>(kMostMinibatches);
  if (sequences / draft.job.batch > kMost || sequences > 0x1p62) {
    return JobFault{
        "epochs", fmt::format("gives {:.3g} sequences, which are too many minibatches", sequences)};
  }
  const std::int64_t all = draft.epochs * draft.dataset_sequences;
  draft.job.minibatches = all / draft.job.batch + (all % draft.job.batch > 0 ? 1 : 0);
  return {};
}

std::optional<JobFault> check_heads(const JobDraft& draft) {
  const ModelSpec& model = draft.job.model;
  if (is_imported(draft)) return {};
  if (model.architecture == Architecture::kMlp) {
    if (model.heads == 1) return {};
    return JobFault{"heads", "an mlp has no attention; set heads = 1 or leave it out"};
  }
  if (!given(draft, "heads")) {
    return JobFault{
        "heads", fmt::format("missing in this job: a {} needs it", to_string(model.architecture))};
  }
  if (model.width % model.heads == 0) return {};
  return JobFault{"heads",
                  fmt::format("{} does not divide width, which is {}", model.heads, model.width)};
}

/// A job of an imported model says what it takes for granted of the profile.
std::optional<JobFault> check_precision(JobDraft& draft) {
  ModelSpec& model = draft.job.model;
  if (!given(draft, "precision")) return {};
  if (is_imported(draft)) {
    draft.job.imported_precision = std::exchange(model.precision, Precision::kFp32);
    return {};
  }
  if (model.precision == Precision::kFp32 || model.precision == Precision::kBf16) return {};
  return JobFault{"precision",
                  fmt::format("\"{}\" is no precision that models are trained in; there are fp32 "
                              "and bf16",
                              to_string(model.precision))};
}

std::optional<JobFault> check_norm(const JobDraft& draft) {
  const Job& job = draft.job;
  if (is_imported(draft) || !given(draft, "norm")) return {};
  if (job.model.architecture != Architecture::kMlp) {
    return JobFault{"norm", fmt::format("a {} has layer norms; only an mlp takes another",
                                        to_string(job.model.architecture))};
  }
  if (!job.model.batch_norm || job.batch >= 2) return {};
  return JobFault{"norm",
                  "batch norm has nothing to normalize over at batch 1; take batch = 2 or more"};
}

std::optional<JobFault> set_usual_feed_forward(JobDraft& draft) {
  ModelSpec& model = draft.job.model;
  if (is_imported(draft) || !given(draft, "feed_forward")) return {};
  if (model.architecture == Architecture::kMlp) {
    return JobFault{"feed_forward", "an mlp's blocks are one layer; leave it out"};
  }
  model.feed_forward = usual_or(model.feed_forward, model);
  return {};
}

std::optional<JobFault> check_context(const JobDraft& draft) {
  const ModelSpec& model = draft.job.model;
  if (model.architecture != Architecture::kVit || patch_side(model.context) > 0) return {};
  return JobFault{"context", "images make 1, 4, 16, 64, 256 or 1024 patches"};
}

std::optional<JobFault> check_stop(const Job& job) {
  if (job.stop_after < job.minibatches) return {};
  return JobFault{"stop_after", fmt::format("{} is no early stop: the job has {} minibatches",
                                            job.stop_after, job.minibatches)};
}

std::optional<JobFault> check_frozen(const Job& job) {
  const bool imported = job.model.architecture == Architecture::kImported;
  if (imported && job.lora_rank > 0) {
    return JobFault{"lora_rank", "what an imported model's adapters would take is not known"};
  }
  const std::int64_t most = std::int64_t{job.model.layers} + 1;  // Embedding and blocks.
  if (job.frozen_layers > most && !imported) {
    return JobFault{
        "frozen_layers",
        fmt::format("must be at most {}, is {}: leave the head to train", most, job.frozen_layers)};
  }
  if (job.frozen_layers > 0 && job.lora_rank > 0) {
    return JobFault{"frozen_layers", "lora_rank freezes all layers; take one of the two out"};
  }
  if (job.base.empty() || job.frozen()) return {};
  return JobFault{"base", "nothing of the job is frozen; give frozen_layers or lora_rank"};
}

}  // namespace

std::span<const JobKey> job_keys() { return kKeys; }

std::vector<std::string_view> job_key_names(bool with_name) {
  std::vector<std::string_view> names;
  if (with_name) names.emplace_back("name");
  for (const JobKey& key : kKeys) names.push_back(key.name);
  return names;
}

std::size_t job_key_index(std::string_view name) {
  const auto found =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const JobKey& key) { return key.name == name; });
  return static_cast<std::size_t>(found - kKeys.begin());
}

std::optional<JobFault> complete(JobDraft& draft) {
  if (auto fault = missing_or_twice(draft)) return fault;
  if (auto fault = set_length(draft)) return fault;
  if (auto fault = check_heads(draft)) return fault;
  if (auto fault = check_precision(draft)) return fault;
  if (auto fault = check_norm(draft)) return fault;
  if (auto fault = set_usual_feed_forward(draft)) return fault;
  if (auto fault = check_context(draft)) return fault;
  if (auto fault = check_stop(draft.job)) return fault;
  return check_frozen(draft.job);
}

std::string beside(const std::string& origin, const std::string& path) {
  return (std::filesystem::path(origin).parent_path() / path).lexically_normal().string();
}

void refuse_equal_names(const std::vector<Job>& jobs, const std::vector<std::int64_t>& lines,
                        const std::string& origin) {
  std::unordered_map<std::string_view, std::int64_t> line_of;
  line_of.reserve(jobs.size());
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    const auto [other, fresh] = line_of.emplace(jobs[j].name, lines[j]);
    if (fresh) continue;
    if (other->second == lines[j]) {
      throw Error(fmt::format("{}:{}: job {} comes twice: a list repeats a value", origin, lines[j],
                              jobs[j].name));
    }
    throw Error(fmt::format("{}:{}: name: {} is also a job of line {}; names must differ", origin,
                            lines[j], jobs[j].name, other->second));
  }
}

}  // namespace shardlab
