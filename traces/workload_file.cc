#include "traces/workload_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/toml_node.h"

namespace shardlab {
namespace {

struct Key {
  std::string_view name;
  bool required;
  void (*set)(Job& job, const toml::node& value);
};

double below_one(const toml::node& node) {
  const double value = number(node, 0);
  if (value >= 1) throw Error(fmt::format("must be below 1, is {}", value));
  return value;
}

double positive(const toml::node& node) {
  const double value = number(node, 0);
  if (value == 0) throw Error("must be above 0");
  return value;
}

/// From seconds, below 30 years.
Duration arrival(double at) {
  if (at >= 1e9) throw Error(fmt::format("must be below 1e9 seconds, is {}", at));
  return Duration{std::llround(at * 1e9)};
}

int count(const toml::node& node) { return static_cast<int>(integer(node, 1)); }

// All keys of a job but its name.
constexpr std::array<Key, 16> kKeys{{
    {"model", true,
     [](Job& job, const toml::node& v) { job.model.architecture = parse_architecture(text(v)); }},
    {"layers", true, [](Job& job, const toml::node& v) { job.model.layers = count(v); }},
    {"width", true, [](Job& job, const toml::node& v) { job.model.width = count(v); }},
    {"heads", false, [](Job& job, const toml::node& v) { job.model.heads = count(v); }},
    {"context", true, [](Job& job, const toml::node& v) { job.model.context = count(v); }},
    {"dropout", false, [](Job& job, const toml::node& v) { job.model.dropout = below_one(v); }},
    {"precision", false,
     [](Job& job, const toml::node& v) { job.model.precision = parse_precision(text(v)); }},
    {"batch", true, [](Job& job, const toml::node& v) { job.batch = count(v); }},
    {"optimizer", false,
     [](Job& job, const toml::node& v) { job.optimizer.kind = parse_optimizer(text(v)); }},
    {"learning_rate", false,
     [](Job& job, const toml::node& v) { job.optimizer.learning_rate = positive(v); }},
    {"momentum", false,
     [](Job& job, const toml::node& v) { job.optimizer.momentum = below_one(v); }},
    {"weight_decay", false,
     [](Job& job, const toml::node& v) { job.optimizer.weight_decay = number(v, 0); }},
    {"minibatches", true,
     [](Job& job, const toml::node& v) { job.minibatches = integer(v, 1, 1'000'000'000'000); }},
    {"seed", false,
     [](Job& job, const toml::node& v) {
       job.seed = static_cast<std::uint64_t>(integer(v, 0, INT64_MAX));
     }},
    {"data", false, [](Job& job, const toml::node& v) { job.data = text(v); }},
    {"arrival_s", false,
     [](Job& job, const toml::node& v) { job.arrival = arrival(number(v, 0)); }},
}};

std::vector<std::string_view> key_names(std::optional<std::string_view> more) {
  std::vector<std::string_view> names;
  if (more) names.push_back(*more);
  for (const Key& key : kKeys) names.push_back(key.name);
  return names;
}

/// One key of one job and the values that it takes.
struct Axis {
  const Key* key = nullptr;
  toml::source_region source;
  std::vector<const toml::node*> values;
};

std::string label(const toml::node& node) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return fmt::format("{}", value->get());
  return fmt::format("{}", node.value_or(0.0));
}

Axis axis(const Key& key, const toml::key& written, const toml::node& node) {
  Axis result{&key, written.source(), {&node}};
  const toml::array* list = node.as_array();
  if (list == nullptr) return result;
  if (list->empty()) throw Error("is an empty list, so there is no job at all");
  if (list->size() > static_cast<std::size_t>(kMostJobs)) throw Error("is too long a list");
  result.values.clear();
  for (const toml::node& element : *list) result.values.push_back(&element);
  return result;
}

/// The job's own keys, then those of the defaults that it leaves out, as they stand in the file.
std::vector<Axis> axes(const toml::table& job, const toml::table& defaults,
                       const std::string& origin) {
  std::vector<Axis> found;
  for (const Key& key : kKeys) {
    const toml::table& owner = job.contains(key.name) ? job : defaults;
    const auto entry = owner.find(key.name);
    if (entry == owner.end()) {
      if (!key.required) continue;
      throw Error(fmt::format("{}: missing in this job", place(origin, job.source(), key.name)));
    }
    in_context(place(origin, entry->first.source(), key.name),
               [&] { found.push_back(axis(key, entry->first, entry->second)); });
  }
  std::sort(found.begin(), found.end(), [](const Axis& a, const Axis& b) {
    return std::pair(a.source.begin.line, a.source.begin.column) <
           std::pair(b.source.begin.line, b.source.begin.column);
  });
  return found;
}

std::int64_t combinations(const std::vector<Axis>& axes) {
  std::int64_t product = 1;
  for (const Axis& axis : axes) {
    // A product already too large stays so, and must not overflow.
    product = std::min(product, kMostJobs + 1) * static_cast<std::int64_t>(axis.values.size());
  }
  return product;
}

/// Rules that bind several keys; each blames the key to change.
void check_heads(const Job& job, bool given) {
  if (job.model.architecture == Architecture::kMlp) {
    if (job.model.heads != 1) throw Error("an mlp has no attention; set heads = 1 or leave it out");
    return;
  }
  if (!given) {
    throw Error(
        fmt::format("missing in this job: a {} needs it", to_string(job.model.architecture)));
  }
  if (job.model.width % job.model.heads != 0) {
    throw Error(
        fmt::format("{} does not divide width, which is {}", job.model.heads, job.model.width));
  }
}

class JobReader {
 public:
  explicit JobReader(const std::string& origin) : origin_(origin) {}

  /// Appends all jobs of one `[[job]]`, the `ordinal`th in the file.
  void expand(const toml::table& table, const toml::table& defaults, std::size_t ordinal) {
    refuse_unknown_keys(table, origin_, key_names("name"));
    std::string name = fmt::format("job-{}", ordinal);
    if (const toml::node* node = table.get("name")) {
      in_context(place(origin_, node->source(), "name"), [&] { name = text(*node); });
    }
    const std::vector<Axis> all = axes(table, defaults, origin_);
    const std::int64_t number = combinations(all);
    if (number + static_cast<std::int64_t>(workload_.jobs.size()) > kMostJobs) {
      throw Error(fmt::format("{}: the lists give more than {} jobs; shorten them",
                              place(origin_, table.source()), kMostJobs));
    }
    for (std::int64_t i = 0; i < number; ++i) add(name, all, i, table.source());
  }

  Workload workload() && { return std::move(workload_); }

 private:
  void add(const std::string& base, const std::vector<Axis>& axes, std::int64_t combination,
           const toml::source_region& source) {
    Job job;
    std::string suffix;
    const toml::source_region* heads = nullptr;
    // The last list varies fastest, so its digit is the lowest.
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      const auto size = static_cast<std::int64_t>(axis->values.size());
      const toml::node& value = *axis->values[static_cast<std::size_t>(combination % size)];
      combination /= size;
      in_context(place(origin_, value.source(), axis->key->name),
                 [&] { axis->key->set(job, value); });
      if (axis->key->name == "heads") heads = &axis->source;
      if (size == 1) continue;
      suffix = fmt::format("{}={}{}{}", axis->key->name, label(value), suffix.empty() ? "" : ",",
                           suffix);
    }
    in_context(place(origin_, heads == nullptr ? source : *heads, "heads"),
               [&] { check_heads(job, heads != nullptr); });
    job.name = suffix.empty() ? base : base + "/" + suffix;
    finish(std::move(job), source);
  }

  void finish(Job job, const toml::source_region& source) {
    const auto [other, fresh] = lines_.emplace(job.name, source.begin.line);
    if (!fresh && other->second == source.begin.line) {
      throw Error(fmt::format("{}: job {} comes twice: a list repeats a value",
                              place(origin_, source), job.name));
    }
    if (!fresh) {
      throw Error(fmt::format("{}: name: {} is also a job of line {}; names must differ",
                              place(origin_, source), job.name, other->second));
    }
    const auto folder = std::filesystem::path(origin_).parent_path();
    if (!job.data.empty()) job.data = (folder / job.data).lexically_normal().string();
    workload_.jobs.push_back(std::move(job));
  }

  const std::string& origin_;
  Workload workload_;
  std::map<std::string, toml::source_index> lines_;  // Where each name was given.
};

/// The jobs come as a Poisson process, in their order.
void draw_arrivals(const toml::node& node, const std::string& origin, Workload& workload) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    throw Error(place(origin, node.source(), "arrivals") + ": must be a table: [arrivals]");
  }
  constexpr std::array<std::string_view, 2> kNames{"per_hour", "seed"};
  refuse_unknown_keys(*table, origin, kNames);
  double per_hour = 0;
  std::uint64_t seed = 0;
  const toml::node* rate = table->get("per_hour");
  if (rate == nullptr) {
    throw Error(place(origin, table->source(), "per_hour") + ": missing in [arrivals]");
  }
  in_context(place(origin, rate->source(), "per_hour"), [&] { per_hour = positive(*rate); });
  if (const toml::node* given = table->get("seed")) {
    in_context(place(origin, given->source(), "seed"),
               [&] { seed = static_cast<std::uint64_t>(integer(*given, 0, INT64_MAX)); });
  }
  double at = 0;
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    Job& job = workload.jobs[j];
    in_context(place(origin, table->source(), "arrivals"), [&] {
      if (job.arrival != Duration{}) throw Error(job.name + " says arrival_s itself; take one out");
      at -= std::log(unit_interval(counter_hash({seed, j}))) * 3600 / per_hour;
      job.arrival = arrival(at);
    });
  }
}

}  // namespace

Workload parse_workload(std::string_view text, const std::string& origin) {
  const toml::table root = parse_toml(text, origin);
  constexpr std::array<std::string_view, 3> kTables{"job", "defaults", "arrivals"};
  refuse_unknown_keys(root, origin, kTables);
  toml::table none;
  const toml::table* defaults = &none;
  if (const toml::node* node = root.get("defaults")) {
    defaults = node->as_table();
    if (defaults == nullptr) {
      throw Error(place(origin, node->source(), "defaults") + ": must be a table: [defaults]");
    }
    refuse_unknown_keys(*defaults, origin, key_names({}));
  }
  JobReader reader(origin);
  std::size_t ordinal = 0;
  for (const toml::table* table : tables(root, origin, "job"))
    reader.expand(*table, *defaults, ++ordinal);
  Workload workload = std::move(reader).workload();
  if (const toml::node* node = root.get("arrivals")) draw_arrivals(*node, origin, workload);
  return workload;
}

Workload read_workload(const std::string& path) {
  return parse_workload(read_whole_file(path), path);
}

}  // namespace shardlab
